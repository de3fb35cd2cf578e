import type { AdapterDescription } from "./device/adapter-description";
import { dawnProvider } from "./device/dawn-provider";
import { endWithProcess } from "./device/end-with-process";
import type { Gpu } from "./device/gpu";
import { describeAdapterFrom, requestGpuFrom, type RequestGpuOptions } from "./device/request-gpu";

export * from "./api";

/**
 * A device of the fastest adapter: a real GPU, or, where `allowSoftware` is set and there is none, a software one.
 * Node gets its WebGPU from Dawn, browsers have their own.
 *
 * @throws GpuError `no-adapter`
 * @example
 * ```ts
 * using gpu = await requestGpu({ allowSoftware: true });
 * if (gpu.adapter.software !== null) console.warn(`computing on ${gpu.adapter.software}`);
 * ```
 */
export async function requestGpu(options: RequestGpuOptions = {}): Promise<Gpu> {
  return endWithProcess(await requestGpuFrom(dawnProvider, options));
}

/**
 * What the adapter is that `requestGpu` would take, a software one included unless told otherwise.
 *
 * @throws GpuError `no-adapter`
 * @example (await describeAdapter()).limits.maxBufferSize // bytes
 */
export function describeAdapter(options: Pick<RequestGpuOptions, "allowSoftware"> = {}): Promise<AdapterDescription> {
  return describeAdapterFrom(dawnProvider, options);
}
