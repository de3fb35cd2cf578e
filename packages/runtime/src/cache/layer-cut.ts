import {
  STORED_COLUMNS,
  constantProgram,
  tensor,
  type AttendRecord,
  type DeviceTensor,
  type KvScratch,
  type RowRange,
  type SelectProgram,
  type SlotView,
  type StoredColumn,
} from "@winnow/core-tensor";
import { ScoreTable, columnsNeeded, compile, full, type Policy } from "@winnow/kv-policies";
import { askQuestion, bandsOf, choose, price, type CandidatePrice } from "@winnow/profiler";

import type { LayerCache } from "./layer-cache";
import type { ReadingUnit } from "./read-prompt";
import type { HeadState, Sequence } from "./sequence";
import { SlotBuffers } from "./slot-buffers";

/** The rows that are profiled, counted over the extend, and how many they are. */
export interface ProfiledRows {
  readonly ranges: readonly RowRange[];
  readonly count: number;
}

/** SnapKV's observation window (arXiv 2404.14469, section 4.2), for the column `windowMass`. */
const WINDOW_ROWS = 32;

/** What a head does from now on, and the program that cuts it. */
interface HeadChoice {
  readonly state: Omit<HeadState, "kept">;
  readonly program: SelectProgram;
}

/**
 * Cuts one layer after another while a prompt is read: adds up the profiled weights inside attention, prices the
 * candidates from the table's summary, chooses for each head, selects, and moves what is kept into pages.
 */
export class LayerCut implements Disposable {
  /** Time spent on profiling, deciding and selecting. */
  spentMs = 0;
  readonly #slots: SlotBuffers;
  readonly #records = new Map<StoredColumn, DeviceTensor>();
  readonly #table: DeviceTensor | null;
  readonly #bands: readonly number[];
  readonly #scores = new ScoreTable();
  readonly #candidates: readonly Policy[] | null;
  readonly #ids: readonly number[];

  /**
   * @param ids the prompt's new tokens; the sequence has not read them yet.
   * @param profiled the rows to profile, or null where heads keep the policy they have.
   */
  constructor(
    private readonly sequence: Sequence,
    ids: readonly number[],
    private readonly profiled: ProfiledRows | null,
  ) {}

  [Symbol.dispose](): void {
    this.#slots[Symbol.dispose]();
    for (const record of this.#records.values()) record[Symbol.dispose]();
    this.#table?.[Symbol.dispose]();
  }
}
