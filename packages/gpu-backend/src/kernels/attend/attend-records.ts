import type { Binding } from "../../dispatch/binding";

/** Where the passes of an attention leave what they saw. */
export interface AttendRecords {
  /** Of head h: the tiles of the heads before it; null where rows and not keys are split. */
  readonly tiles: Uint32Array | null;
  /** Passes over kept slots: one for each slab where keys are split, else one over all of them. */
  readonly slabPasses: number;
  /** Records of each. */
  readonly perSlab: number;
  /** Number of the scratch's first. */
  readonly scratch: number;
  readonly outputs: Binding;
  readonly stats: Binding;
}
