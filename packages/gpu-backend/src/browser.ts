import type { AdapterDescription } from "./device/adapter-description";
import { browserProvider } from "./device/browser-provider";
import type { Gpu } from "./device/gpu";
import { describeAdapterFrom, requestGpuFrom, type RequestGpuOptions } from "./device/request-gpu";

export * from "./api";

/**
 * A device of the fastest adapter: a real GPU, or, where `allowSoftware` is set and there is none, a software one.
 * The WebGPU is the browser's own; Node gets its from Dawn.
 *
 * @throws GpuError `no-adapter`
 * @example
 * ```ts
 * using gpu = await requestGpu({ allowSoftware: true });
 * if (gpu.adapter.software !== null) console.warn(`computing on ${gpu.adapter.software}`);
 * ```
 */
export function requestGpu(options: RequestGpuOptions = {}): Promise<Gpu> {
  return requestGpuFrom(browserProvider, options);
}

/**
 * What the adapter is that `requestGpu` would take, a software one included unless told otherwise.
 *
 * @throws GpuError `no-adapter`
 * @example (await describeAdapter()).limits.maxBufferSize // bytes
 */
export function describeAdapter(options: Pick<RequestGpuOptions, "allowSoftware"> = {}): Promise<AdapterDescription> {
  return describeAdapterFrom(browserProvider, options);
}
