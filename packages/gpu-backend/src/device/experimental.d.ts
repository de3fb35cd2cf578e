// The published types know no experimental feature, and Dawn takes it like any other.
interface GPUAdapter {
  requestDevice(descriptor: {
    label: string;
    requiredFeatures: readonly string[];
    requiredLimits: Record<string, number>;
  }): Promise<GPUDevice>;
}
