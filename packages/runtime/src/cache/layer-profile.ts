import {
  type AttendRecord,
  type DeviceTensor,
  type KvScratch,
  type RowRange,
  type StatisticsSpec,
  type StoredColumn,
} from "@winnow/core-tensor";

import type { Angle } from "./angle";
import { computeStatistics } from "./computed-statistics";
import type { ReadingUnit } from "./reading-unit";
import type { Sequence } from "./sequence";
import { SlotBuffers } from "./slot-buffers";

/** SnapKV's observation window (arXiv 2404.14469, section 4.2), for the column `windowMass`. */
const WINDOW_ROWS = 32;

/** How each column is recorded while a prompt is read, and joined with what is stored. */
const RECORDED: Readonly<
  Record<RecordedColumn, { readonly reduce: "sum" | "max"; readonly join: "sum" | "max" | "replace" }>
> = {
  mass: { reduce: "sum", join: "sum" },
  maxWeight: { reduce: "max", join: "max" },
  windowMass: { reduce: "sum", join: "replace" },
  lastMass: { reduce: "sum", join: "replace" },
  lastMaxWeight: { reduce: "max", join: "replace" },
};

type RecordedColumn = Exclude<StoredColumn, "position">;

/**
 * What was seen of one layer from one angle: attention weights recorded while its rows were read, and a table of its
 * slots, those kept before and the new ones side by side.
 */
export class LayerProfile implements Disposable {
  /** The layer's slots, once they are collected. */
  readonly slots: SlotBuffers;
  /** f32 [queryHeads, capacity, bands + 1]; null where recovery is not measured. */
  readonly table: DeviceTensor | null;
  /** Slots a head has room for. */
  readonly capacity: number;
  readonly #records = new Map<RecordedColumn, { readonly into: DeviceTensor; readonly rows: readonly RowRange[] }>();

  /**
   * @param rowCount new rows of the prompt, which the sequence has taken note of already.
   */
  constructor(
    private readonly sequence: Sequence,
    readonly rowCount: number,
    readonly angle: Angle,
  ) {
    const { backend, decoder } = sequence.engine;
    const { kvHeads, queryHeads } = decoder.shape.heads;
    this.capacity = Math.max(...sequence.layers.map(({ longest }) => longest)) + rowCount;
    this.slots = new SlotBuffers(backend, kvHeads, this.capacity, angle.columns);
    const options = { label: "profile", category: "activations" } as const;
    for (const name of angle.columns) {
      if (!isRecorded(name)) continue;
      const into = backend.allocate("f32", [kvHeads, this.capacity], options);
      this.#records.set(name, { into, rows: this.#rowsOf(name) });
    }
    const shape = [queryHeads, this.capacity, (angle.bands?.length ?? 0) + 1];
    this.table = angle.bands === null ? null : backend.allocate("f32", shape, options);
  }

  /** Forget what was recorded. */
  clear(): void {
    const { backend } = this.sequence.engine;
    if (this.table !== null) backend.clear(this.table);
    for (const { into } of this.#records.values()) backend.clear(into);
  }

  /** What attention should record of a unit's rows, or null for nothing. */
  record(unit: ReadingUnit, positions: DeviceTensor): AttendRecord | null {
    const { bands, profiled } = this.angle;
    if (this.table === null && this.#records.size === 0) return null;
    return {
      firstRow: unit.start,
      positions,
      columnRows: this.rowCount,
      tables: this.table === null ? [] : [{ into: this.table, bands: bands ?? [], rows: profiled.ranges }],
      columns: [...this.#records].map(([name, { into, rows }]) => ({ reduce: RECORDED[name].reduce, into, rows })),
    };
  }

  /** Put layer l's kept slots and the new rows, with what was recorded of them, side by side. */
  async collect(l: number, scratch: KvScratch, positions: DeviceTensor): Promise<void> {
    const { sequence, slots } = this;
    const { heads } = sequence.engine.decoder.shape;
    const layer = sequence.layers[l];
    if (layer === undefined) return;
    const { backend } = sequence.engine;
    const recorded: StatisticsSpec["recorded"] = [...this.#records].map(([name, { into }]) => ({
      name,
      reduce: RECORDED[name].join,
      from: into,
    }));
    backend.statistics({
      heads,
      paged: layer.paged,
      scratch: { kv: scratch, start: 0, count: this.rowCount },
      positions,
      flags: sequence.flags,
      recorded,
      into: slots.table,
      firstRow: 0,
    });
    await computeStatistics(sequence, slots, this.angle.columns, l * heads.kvHeads);
  }

  /** Give the collected slots the classes that their tokens have now. */
  async classify(): Promise<void> {
    const { backend } = this.sequence.engine;
    const { position, flags } = this.slots.table;
    const known = this.sequence.classes.flagsOf(this.sequence.tokens);
    const positions = await backend.download(position);
    backend.write(
      flags,
      Uint32Array.from(positions, (at) => known[at] ?? 0),
    );
  }

  [Symbol.dispose](): void {
    this.slots[Symbol.dispose]();
    for (const { into } of this.#records.values()) into[Symbol.dispose]();
    this.table?.[Symbol.dispose]();
  }

  #rowsOf(name: RecordedColumn): readonly RowRange[] {
    const last = (rows: number): RowRange[] => [
      { start: Math.max(0, this.rowCount - rows), end: this.rowCount, stride: 1 },
    ];
    if (name === "windowMass") return last(WINDOW_ROWS);
    if (name === "lastMass" || name === "lastMaxWeight") return last(1);
    return this.angle.profiled.ranges;
  }
}

function isRecorded(name: string): name is RecordedColumn {
  return Object.hasOwn(RECORDED, name);
}
