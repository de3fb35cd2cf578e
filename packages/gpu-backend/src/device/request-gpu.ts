import { adapterDescription, type AdapterDescription } from "./adapter-description";
import { chooseAdapter } from "./choose-adapter";
import { offeredFeatures, type OptionalFeature } from "./features";
import { Gpu } from "./gpu";
import { GpuError } from "./gpu-error";
import type { GpuProvider } from "./gpu-provider";
import { LIMIT_NAMES } from "./limits";

export interface RequestGpuOptions {
  /** Take a software adapter where there is no real GPU; `gpu.adapter.software` names it. False unless told otherwise. */
  readonly allowSoftware?: boolean;
  /** Optional features to do without, so that tests see what other adapters see. */
  readonly without?: readonly OptionalFeature[];
}

/** `requestGpu` over any implementation of WebGPU. */
export async function requestGpuFrom(provider: GpuProvider, options: RequestGpuOptions = {}): Promise<Gpu> {
  const { webgpu, implementation } = await provider();
  const adapter = await chooseAdapter(webgpu, options.allowSoftware ?? false);
  const description = adapterDescription(adapter, implementation);
  const features = offeredFeatures(adapter, options.without);
  const device = await requestDevice(adapter, description, features);
  return new Gpu(device, description, {
    limits: description.limits,
    f16: features.includes("shader-f16"),
    subgroups: features.includes("subgroups") ? description.subgroups : null,
    timestamps: features.includes("timestamp-query"),
    packedDots: webgpu.wgslLanguageFeatures.has("packed_4x8_integer_dot_product"),
    subgroupMatrices: features.includes("chromium-experimental-subgroup-matrix") ? description.subgroupMatrices : [],
  });
}

/** `describeAdapter` over any implementation of WebGPU. */
export async function describeAdapterFrom(
  provider: GpuProvider,
  options: Pick<RequestGpuOptions, "allowSoftware"> = {},
): Promise<AdapterDescription> {
  const { webgpu, implementation } = await provider();
  return adapterDescription(await chooseAdapter(webgpu, options.allowSoftware ?? true), implementation);
}

async function requestDevice(
  adapter: GPUAdapter,
  description: AdapterDescription,
  features: readonly OptionalFeature[],
): Promise<GPUDevice> {
  const requiredLimits = Object.fromEntries(LIMIT_NAMES.map((name) => [name, description.limits[name]]));
  try {
    return await adapter.requestDevice({
      label: "winnow",
      requiredFeatures: features,
      requiredLimits,
    });
  } catch (error) {
    throw new GpuError("no-adapter", `${description.name} gives no device: ${String(error)}; use the CPU backend`, {
      cause: error,
    });
  }
}
