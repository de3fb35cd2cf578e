// What both entries export; they differ in where WebGPU comes from.
export type { AdapterDescription } from "./device/adapter-description";
export type { GpuCapabilities, SubgroupMatrixShape, SubgroupSize } from "./device/capabilities";
export { OPTIONAL_FEATURES, type OptionalFeature } from "./device/features";
export { Gpu } from "./device/gpu";
export { GpuError, type GpuFailure } from "./device/gpu-error";
export type { GpuLimits, LimitName } from "./device/limits";
export type { RequestGpuOptions } from "./device/request-gpu";
export type { RecorderCounts } from "./dispatch/recorder";
export { GpuTrace, type ChromeTraceEvent, type TraceSpan, type TraceTotal } from "./trace/gpu-trace";
export type { KernelChoices, SavedChoice } from "./tune/kernel-family";
export { loadKernelChoices, saveKernelChoices } from "./tune/saved-choices";
export type { TextStore } from "./tune/text-store";
export type { KernelTiming, KernelTuning, TuneOptions } from "./tune/tune-kernels";
export {
  createWebGpuBackend,
  type WebGpuBackend,
  type WebGpuBackendOptions,
  type WebGpuCounts,
} from "./webgpu-backend";
