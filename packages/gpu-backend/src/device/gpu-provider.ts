export interface ProvidedGpu {
  readonly webgpu: GPU;
  /** What implements it, with its version. */
  readonly implementation: string;
}

/** Where an implementation of WebGPU comes from: the only thing that differs between Node and a browser. */
export type GpuProvider = () => Promise<ProvidedGpu>;
