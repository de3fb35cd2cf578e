/** How a CPU backend's memory is seen: halves and quantised elements are words. */
export type CpuArray = Float32Array | Uint32Array | Int32Array | Uint16Array;

/** The memory of one tensor. */
export interface CpuMemory {
  readonly data: CpuArray;
  /** Give it back; called once. */
  release(): void;
}
