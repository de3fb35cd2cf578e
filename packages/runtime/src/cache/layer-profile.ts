import {
  rows,
  type AttendRecord,
  type ColumnReduce,
  type DeviceTensor,
  type KvScratch,
  type RowRange,
  type Rows,
  type StatisticsSpec,
  type StoredColumn,
} from "@winnow/core-tensor";
import type { HeadView } from "@winnow/kv-policies";

import type { Angle } from "./angle";
import { computeStatistics } from "./computed-statistics";
import { downloadVectors, type HeadVectors } from "./head-vectors";
import { outputNorms } from "./output-norms";
import type { ReadingUnit } from "./reading-unit";
import type { Sequence } from "./sequence";
import { SlotBuffers } from "./slot-buffers";
import { downloadViews, withVectors } from "./slot-views";
import { WatchedQueries } from "./watched-queries";

/** SnapKV's observation window (arXiv 2404.14469, section 4.2), for the column `windowMass`. */
const WINDOW_ROWS = 32;

/** Scissorhands' history (arXiv 2305.17118, section 5.1), for the column `hits`. */
const HISTORY_ROWS = 400;

/** How each column is recorded while a prompt is read, and joined with what is stored. */
const RECORDED: Readonly<
  Record<RecordedColumn, { readonly reduce: ColumnReduce; readonly join: "sum" | "max" | "replace" }>
> = {
  mass: { reduce: "sum", join: "sum" },
  maxWeight: { reduce: "max", join: "max" },
  windowMass: { reduce: "sum", join: "replace" },
  lastMass: { reduce: "sum", join: "replace" },
  lastMaxWeight: { reduce: "max", join: "replace" },
  hits: { reduce: "count", join: "replace" },
};

type RecordedColumn = Exclude<StoredColumn, "position"> | "hits";

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
  #queries: WatchedQueries | null;
  /** By KV head, where plug-ins read them. */
  #vectors: readonly HeadVectors[] = [];
  readonly #records = new Map<RecordedColumn, { readonly into: DeviceTensor; readonly ranges: readonly RowRange[] }>();

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
    this.#queries = this.#watched();
    this.capacity = Math.max(...sequence.layers.map(({ longest }) => longest)) + rowCount;
    this.slots = new SlotBuffers(backend, kvHeads, this.capacity, angle.columns);
    const options = { label: "profile", category: "activations" } as const;
    for (const name of angle.columns) {
      if (!isRecorded(name)) continue;
      const into = backend.allocate("f32", [kvHeads, this.capacity], options);
      this.#records.set(name, { into, ranges: this.#rowsOf(name) });
    }
    const shape = [queryHeads, this.capacity, (angle.bands?.length ?? 0) + 1];
    this.table = angle.bands === null ? null : backend.allocate("f32", shape, options);
  }

  /** Whether the rows' queries are to be seen before they are rotated. */
  get watchesQueries(): boolean {
    return this.angle.vectors.includes("queries");
  }

  /** See the queries of a unit of the prompt. */
  async watch(unit: ReadingUnit, qkv: Rows): Promise<void> {
    const { backend } = this.sequence.engine;
    const first = this.sequence.tokens.length - this.rowCount;
    if (unit.kind === "prompt") await this.#queries?.add(backend, qkv, first + unit.start);
  }

  /** Forget what was recorded. */
  clear(): void {
    const { backend } = this.sequence.engine;
    if (this.table !== null) backend.clear(this.table);
    for (const { into } of this.#records.values()) backend.clear(into);
    this.#queries = this.#watched();
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
      columns: [...this.#records].map(([name, { into, ranges }]) => ({
        reduce: RECORDED[name].reduce,
        into,
        rows: ranges,
      })),
    };
  }

  /** Put layer l's kept slots and the new rows, with what was recorded of them, side by side. */
  async collect(l: number, scratch: KvScratch, positions: DeviceTensor): Promise<void> {
    const { sequence, slots } = this;
    const { heads } = sequence.engine.decoder.shape;
    const layer = sequence.layers[l];
    if (layer === undefined) return;
    const { backend } = sequence.engine;
    const recorded: StatisticsSpec["recorded"] = [...this.#records].flatMap(([name, { into }]) =>
      name === "hits" ? [] : [{ name, reduce: RECORDED[name].join, from: into }],
    );
    const hits = this.#records.get("hits");
    const counted = slots.table.columns.hits;
    if (hits !== undefined && counted !== undefined) backend.copy(rows(hits.into), rows(counted));
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
    await this.#collectVectors(l, scratch);
    await computeStatistics(sequence, slots, this.angle.columns, l * heads.kvHeads, this.#vectors);
  }

  /**
   * The layer's heads as policies and plug-ins see them.
   *
   * @param names columns to bring along.
   */
  async views(l: number, names = this.angle.columns): Promise<HeadView[]> {
    const { kvHeads } = this.sequence.engine.decoder.shape.heads;
    return withVectors(await downloadViews(this.sequence, this.slots, names, l * kvHeads), this.#vectors);
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

  async #collectVectors(l: number, scratch: KvScratch): Promise<void> {
    const { sequence, angle, slots } = this;
    const { engine } = sequence;
    const norms = slots.table.columns.outputNorm;
    if (angle.vectors.length === 0 && norms === undefined) return;
    const rotary = engine.rotaries.all[engine.rotaries.ofLayer[l] ?? 0];
    const vectors = await downloadVectors(sequence, l, scratch, this.rowCount);
    this.#vectors = vectors.map((of, head) => ({
      ...of,
      queries: rotary === undefined ? null : (this.#queries?.moments(head, rotary) ?? null),
    }));
    if (norms === undefined) return;
    const found = await outputNorms(
      engine,
      l,
      vectors.map(({ values }) => values),
    );
    found.forEach((ofHead, head) => {
      engine.backend.write(norms, ofHead, head * this.capacity);
    });
  }

  #watched(): WatchedQueries | null {
    if (!this.watchesQueries) return null;
    const { heads, attentionScale } = this.sequence.engine.decoder.shape;
    return new WatchedQueries(heads, attentionScale);
  }

  #rowsOf(name: RecordedColumn): readonly RowRange[] {
    const last = (count: number): RowRange[] => [
      { start: Math.max(0, this.rowCount - count), end: this.rowCount, stride: 1 },
    ];
    if (name === "windowMass") return last(WINDOW_ROWS);
    if (name === "hits") return last(HISTORY_ROWS);
    if (name === "lastMass" || name === "lastMaxWeight") return last(1);
    return this.angle.profiled.ranges;
  }
}

function isRecorded(name: string): name is RecordedColumn {
  return Object.hasOwn(RECORDED, name);
}
