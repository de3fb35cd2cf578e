import type { StoredBuffer } from "../buffers/stored-buffer";
import type { Grid } from "./grid";
import type { CachedPipeline } from "./pipeline-cache";

/** A dispatch with all that a device has to be told of it. It can be told again for as long as its buffers exist. */
export interface PreparedDispatch {
  readonly label: string;
  readonly pipeline: CachedPipeline;
  readonly group: GPUBindGroup;
  /** All that the group binds. */
  readonly buffers: readonly StoredBuffer[];
  readonly params: Uint32Array;
  /** The table that comes with it; null where the kernel has none. */
  readonly data: Uint32Array | null;
  /** Bytes that both take in the arena. */
  readonly room: number;
  /** Dynamic offsets of the two: where they were put last. */
  readonly places: number[];
  readonly grid: Grid;
  /** Whether the kernel may report a fault. */
  readonly faulty: boolean;
}
