import type { AttendRecord, DeviceTensor, KvScratch, Rows } from "@winnow/core-tensor";

import type { ReadingUnit } from "./reading-unit";

/** What becomes of each layer of a prompt, once all its rows are attended to. */
export interface PromptCut extends Disposable {
  /** Time spent on the probe's rows, on pricing, deciding and selecting. */
  spentMs: number;
  beginLayer(): void;
  /** Whether {@link watch} is to be called. */
  readonly watchesQueries: boolean;
  /** See a unit's products before its queries and keys are rotated. */
  watch(unit: ReadingUnit, qkv: Rows): Promise<void>;
  /** What attention should record of a unit's rows, or null for nothing. */
  record(unit: ReadingUnit, positions: DeviceTensor): AttendRecord | null;
  /** Move what is kept of layer l from the scratch and the old pages into pages. */
  cutLayer(l: number, scratch: KvScratch, positions: DeviceTensor, scratchBytes: number): Promise<void>;
  /** All layers have been read. */
  finish(): Promise<void>;
}
