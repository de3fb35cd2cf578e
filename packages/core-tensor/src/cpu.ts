/** What another CPU engine is made of. */
export { checkAppend } from "./append-check";
export { distances } from "./cpu/attend-keys";
export { inRanges } from "./cpu/attend-recorder";
export { createCpuBackendOf } from "./cpu/cpu-backend";
export type { CpuEngine, CpuHolding, CpuOperations } from "./cpu/cpu-engine";
export type { CpuArray, CpuMemory } from "./cpu/cpu-memory";
export { dataOf, f32Of, f32Rows, u32Of, u32Rows, widthOf } from "./cpu/cpu-tensor";
export { OPERATIONS } from "./cpu/operations";
export { PagedReader } from "./cpu/paged";
export type { Poll } from "./cpu/poll";
export { downloadable } from "./cpu/elements";
export { checkEmbed, expectToken } from "./embed-check";
export { checkCompact, checkGather } from "./move-check";
export { checkPaged } from "./paged-check";
