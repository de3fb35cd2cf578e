import type { BoolProgram } from "./bool-program";
import type { DeviceTensor, Rows } from "./device-tensor";
import type { DType } from "./dtype";
import type { Expr } from "./expr";
import type { MemoryCategory, MemoryMeter } from "./memory-meter";
import type { SelectProgram } from "./select-program";
import type { Shape } from "./shape";
import type { Tensor } from "./tensor";

export interface AllocationOptions {
  /** Names the memory in reports and errors, such as `layers.3.qkv`. */
  readonly label: string;
  readonly category: MemoryCategory;
}

/** How one layer's attention is divided into heads. Query heads g·(queryHeads/kvHeads).. share KV head g. */
export interface HeadShape {
  readonly queryHeads: number;
  readonly kvHeads: number;
  readonly headDim: number;
}

/** Rows of an embedding table: out[i] = scale · table[ids[i]]. A row whose id is NOT_A_TOKEN stays as it is. */
export interface EmbedSpec {
  /** f32 [vocabulary, width], or quantised. */
  readonly table: DeviceTensor;
  /** u32 */
  readonly ids: Rows;
  /** 1 unless told otherwise. */
  readonly scale?: number;
  /** f32 [rows, width] */
  readonly out: Rows;
}

/** Root mean square norm: out = x / sqrt(mean(x²) + epsilon) · weight + residual, over each row, or each head of it. */
export interface RmsNormSpec {
  /** f32 [rows, width] */
  readonly x: Rows;
  /**
   * f32 [width], or [headDim] for a norm of each head: the weight's length says which. Or [heads, headDim], a weight for each
   * of a row's first heads: what is behind them in a row of `out` stays as it is.
   */
  readonly weight: DeviceTensor;
  readonly epsilon: number;
  /** f32 [rows, width]; may be `out`. */
  readonly residual?: Rows;
  /** f32 [rows, width]; may be x itself. */
  readonly out: Rows;
}

/** out = softCap(activation(norm(x) · weightᵀ + bias)) + residual. A quantised weight is widened on the way, 32 elements at a time. */
export interface MatmulSpec {
  /** f32 [rows, inputs] */
  readonly x: Rows;
  /** Rows of x are normed first, as `rmsNorm` would: decoders do that before most products. */
  readonly norm?: {
    /** f32 [inputs] */
    readonly weight: DeviceTensor;
    readonly epsilon: number;
  };
  /** f32 [outputs, inputs], as checkpoints store it, or quantised. */
  readonly weight: DeviceTensor;
  /** f32 [outputs] */
  readonly bias?: DeviceTensor;
  /** f32, as wide as `out`, which it may be. */
  readonly residual?: Rows;
  /**
   * The first half of the outputs is the gate: out = silu(gate) · up, half as wide, or gelu(gate) · up with the approximation
   * by tanh (arXiv 1606.08415, section 2).
   */
  readonly activation?: "silu-gate" | "gelu-gate";
  /** Outputs y become softCap · tanh(y / softCap) (Gemma 2, arXiv 2408.00118, section 2). */
  readonly softCap?: number;
  /**
   * Where in a row of `out` the first output goes: several products may fill one row side by side. 0 unless told otherwise,
   * and then rows are as wide as there are outputs.
   */
  readonly column?: number;
  /** f32 [rows, outputs], or half as wide after a gate; with `column` as wide as it may be. Not `x`. */
  readonly out: Rows;
}

/**
 * Keys and values of the rows being read, for the one layer being read: contiguous, and reused by every layer. Both are of
 * one type: f32, or f16 where the backend stores it.
 */
export interface KvScratch {
  /** [kvHeads, capacity, headDim] */
  readonly k: DeviceTensor;
  /** [kvHeads, capacity, headDim] */
  readonly v: DeviceTensor;
}

/**
 * Statistics a cache can hold beside each slot, in the order of a column table's second dimension. While tokens are
 * generated the newest row's weights wait in `lastMass` (their sum over a group) and `lastMaxWeight` (the greatest), and
 * are added to `mass` and `maxWeight` with the next row: so the newest row can be taken back.
 */
export const STORED_COLUMNS = ["position", "mass", "maxWeight", "windowMass", "lastMass", "lastMaxWeight"] as const;
export type StoredColumn = (typeof STORED_COLUMNS)[number];

/** Where the newest row's weights wait, and how they are added. */
export const WAITING: Readonly<
  Partial<Record<StoredColumn, { readonly column: StoredColumn; readonly reduce: "sum" | "max" }>>
> = {
  mass: { column: "lastMass", reduce: "sum" },
  maxWeight: { column: "lastMaxWeight", reduce: "max" },
};

/** What a head stores whose policy reads these columns: them, and where the newest row's weights wait. */
export function withWaiting(columns: ReadonlySet<string>): StoredColumn[] {
  const waiting = new Set(Object.entries(WAITING).flatMap(([name, { column }]) => (columns.has(name) ? [column] : [])));
  return STORED_COLUMNS.filter((name) => columns.has(name) || waiting.has(name));
}

/** Statistics that are computed from the keys and values when they are asked for. */
export const COMPUTED_COLUMNS = ["keyNorm", "valueNorm", "keyDiff"] as const;
export type ComputedColumn = (typeof COMPUTED_COLUMNS)[number];

/** A head without a page there has this number in a page table. */
export const NO_PAGE = 0xffffffff;

/**
 * The kept slots of one sequence in one layer. Page p of K and V lies in slab ⌊p / pagesPerSlab⌋, its keys
 * before its values; slot s of head h is slot s mod pageSlots of page table[h][⌊s / pageSlots⌋].
 */
export interface PagedKv {
  /**
   * By slab, null where it does not exist: f32 [pagesPerSlab, 2, pageSlots, headDim], or what else the backend stores: f16
   * of that shape, or u32 [pagesPerSlab, 2, pageSlots, headDim/4 + 1], the rows that `quantiseRows` makes.
   */
  readonly slabs: readonly (DeviceTensor | null)[];
  readonly pagesPerSlab: number;
  readonly pageSlots: number;
  /** u32 [kvHeads, pages] */
  readonly table: DeviceTensor;
  /** u32 [kvHeads]: slots in use. */
  readonly lengths: DeviceTensor;
  /** By KV head: no fewer than the slots in use before and after the operation. Grids are cut to them. */
  readonly bounds: readonly number[];
  /** f32 [column pages, pageSlots], positions as u32 bits; null where no head stores anything. */
  readonly columns: DeviceTensor | null;
  /**
   * u32 [kvHeads, STORED_COLUMNS.length, pages]; NO_PAGE where the head has no such column. Rows of one tensor for all
   * layers, whose rows' bytes are a multiple of 256 if there are others.
   */
  readonly columnTable: Rows;
  /** Whether `lastMass` and `lastMaxWeight` hold weights that `mass` and `maxWeight` do not have yet. */
  readonly pending: boolean;
}

/**
 * Rotate queries and keys, and put keys and values where they belong. Queries are rotated in place.
 * Rotation pairs element i of a head with element i + headDim/2 (Hugging Face's order).
 */
export interface AppendSpec {
  readonly heads: HeadShape;
  /** f32 [rows, (queryHeads + 2·kvHeads)·headDim]: q, k and v side by side. */
  readonly qkv: Rows;
  /** f32 [rows, headDim]: the cosines of the row's angles, then the sines. */
  readonly rotation: Rows;
  readonly into:
    | { readonly kind: "scratch"; readonly scratch: KvScratch; readonly at: number }
    /** Behind the slots in use, whose number grows by the rows; columns the head has are set, mass to 0. */
    | { readonly kind: "pages"; readonly paged: PagedKv; /** u32 [rows] */ readonly positions: Rows };
}

/**
 * Rows that see the same keys. All slots of `paged` and `context` are visible to each of them. Rows that were appended
 * to pages have neither context nor own.
 */
export interface AttendGroup {
  /** First row of the group and their number, counted within `qkv` and `out`. */
  readonly start: number;
  readonly count: number;
  /** Kept slots; the last `appended` of them are these very rows, and row i sees only the first i + 1 of those. */
  readonly paged?: { readonly kv: PagedKv; readonly appended: number };
  /** Scratch rows before the group's own. */
  readonly context?: { readonly scratch: KvScratch; readonly start: number; readonly count: number };
  /** Scratch row of the group's first row; row i sees the scratch rows own.start .. own.start + i. */
  readonly own?: { readonly scratch: KvScratch; readonly start: number };
  /**
   * Position of the group's first row; the others follow one by one. A window needs it, and that scratch rows follow one
   * another likewise.
   */
  readonly position?: number;
}

/** Rows start, start + stride, … below end, counted over the whole extend. */
export interface RowRange {
  readonly start: number;
  readonly end: number;
  readonly stride: number;
}

/** How the weights that rows give a column become one number. */
export type ColumnReduce = "sum" | "max" | "count";

/** Where profiled attention weights are added up. Column c of KV head h: its slot c, then the extend's scratch rows. */
export interface AttendRecord {
  /** What the number of the call's first row is in `rows` and `positions`. */
  readonly firstRow: number;
  /** u32: positions of the extend's rows, for the bands. */
  readonly positions: DeviceTensor;
  /** Scratch rows below this number are columns; a probe's own rows are not. */
  readonly columnRows: number;
  /** massTable[queryHead][column][band] += weight; band b holds distances bands[b-1] <= i - j < bands[b]. */
  readonly tables: readonly {
    /** f32 [queryHeads, columns, bands.length + 1] */
    readonly into: DeviceTensor;
    /** Ascending windows; none gives one band. */
    readonly bands: readonly number[];
    readonly rows: readonly RowRange[];
  }[];
  /**
   * Per KV head, over the rows and the group's query heads: the sum or the greatest of the weights, or how many of them are
   * pivotal (`isPivotal`).
   */
  readonly columns: readonly {
    readonly reduce: ColumnReduce;
    /** f32 [kvHeads, columns] */
    readonly into: DeviceTensor;
    readonly rows: readonly RowRange[];
  }[];
}

/**
 * Softmax attention of query rows over kept slots and new rows:
 * out = softmax(scale · q·kᵀ) · v, with weights summed in the order paged, context, own.
 */
export interface AttendSpec {
  readonly heads: HeadShape;
  readonly scale: number;
  /** Scores s become softCap · tanh(s / softCap) (Gemma 2, arXiv 2408.00118, section 2). */
  readonly softCap?: number;
  /** Rows see positions less than this behind their own, whatever slots there are (Longformer, arXiv 2004.05150, section 3.1). */
  readonly window?: number;
  /** f32, rotated by `append`. */
  readonly qkv: Rows;
  /** f32 [rows, queryHeads·headDim] */
  readonly out: Rows;
  readonly groups: readonly AttendGroup[];
  readonly record?: AttendRecord;
  /**
   * Add the rows' weights to the columns of the paged heads that have them. Those of a group's newest row wait in
   * `lastMass` and `lastMaxWeight` where the head has these: afterwards the cache's `pending` is true.
   */
  readonly accumulate?: boolean;
}

/** Slots of several heads side by side in contiguous columns. */
export interface SlotTable {
  readonly kind: "table";
  /** Heads. */
  readonly rowCount: number;
  /** Slots a row can hold. */
  readonly capacity: number;
  /** u32 [rowCount] */
  readonly counts: DeviceTensor;
  /** u32 [rowCount, capacity] */
  readonly position: DeviceTensor;
  /** u32 [rowCount, capacity] */
  readonly flags: DeviceTensor;
  /** f32 [rowCount, capacity] each, by name. */
  readonly columns: Readonly<Record<string, DeviceTensor>>;
}

/**
 * Slots of several heads where they lie, in the pages of one sequence: what a sweep goes by, without a copy of them. Of
 * columns there are those that are stored.
 */
export interface PagedSlots {
  readonly kind: "pages";
  /** Heads of all layers. */
  readonly rowCount: number;
  /** No row has more slots. */
  readonly capacity: number;
  /** Slots by row. */
  readonly counts: readonly number[];
  /** u32: class bits by position. */
  readonly flags: DeviceTensor;
  readonly pageSlots: number;
  readonly columns: DeviceTensor | null;
  /** u32 [rowCount, STORED_COLUMNS.length, pages] */
  readonly columnTable: DeviceTensor;
  readonly pending: boolean;
}

/** What `select` ranks. */
export type SelectSlots = SlotTable | PagedSlots;

/** Fill rows of a slot table from a layer's kept slots, then from scratch rows. */
export interface StatisticsSpec {
  readonly heads: HeadShape;
  readonly paged?: PagedKv;
  readonly scratch?: { readonly kv: KvScratch; readonly start: number; readonly count: number };
  /** u32: positions by scratch row; needed with `scratch`. */
  readonly positions?: DeviceTensor;
  /** u32: class bits by position. */
  readonly flags: DeviceTensor;
  /** f32 [kvHeads, columns]: added to (max: compared with) what the kept slots store, under the column's name. */
  readonly recorded: readonly {
    readonly name: StoredColumn;
    readonly reduce: "sum" | "max" | "replace";
    readonly from: DeviceTensor;
  }[];
  readonly into: SlotTable;
  /** Row of the table for the layer's first head. */
  readonly firstRow: number;
}

/** Columns sorted into buckets by rank: bucket b holds ranks edges[b-1] <= rank < edges[b]; the last is open. */
export interface RankScale {
  readonly score: Expr;
  /** Ascending. */
  readonly edges: readonly number[];
  /** Only columns that satisfy this are ranked; the others fall into the last bucket. It may not use rank tests. */
  readonly within?: BoolProgram;
  readonly scope: "head" | "layer";
}

/** Reduce a mass table to a few kilobytes: sums by (query head, class, rank bucket, band), and counts of columns. */
export interface SummariseSpec {
  readonly heads: HeadShape;
  /** f32 [queryHeads, columns, bands] */
  readonly table: DeviceTensor;
  /** The layer's kvHeads rows, whose slots are the table's columns. */
  readonly slots: SlotTable;
  /** Position of the newest row, for `age`. */
  readonly now: number;
  /** Number of the table's first row over all layers, which seeds `random`. */
  readonly firstRow: number;
  /** u32 [kvHeads, capacity] or [1, capacity] (the same for all heads): class of each column, below classCount. */
  readonly classes: DeviceTensor;
  readonly classCount: number;
  readonly scales: readonly RankScale[];
  /** f32 [queryHeads, classCount, buckets, bands]; buckets is the product over the scales, the first slowest. */
  readonly sums: DeviceTensor;
  /** u32 [kvHeads, classCount, buckets] */
  readonly counts: DeviceTensor;
}

/** Run every head's program over its slots. */
export interface SelectSpec {
  readonly slots: SelectSlots;
  readonly headsPerLayer: number;
  /** One a row of the table. */
  readonly programs: readonly SelectProgram[];
  /** What the programs' score numbers mean. */
  readonly scores: readonly Expr[];
  /** Position of the newest row. */
  readonly now: number;
  /** Number of the table's first row over all layers, which seeds `random`. */
  readonly firstRow: number;
  /** u32 [rowCount, ceil(capacity / 32)]: bit c of a row is set where column c is kept. */
  readonly keep: DeviceTensor;
  /** u32 [rowCount]: kept slots. */
  readonly kept: DeviceTensor;
}

/**
 * How much of a stored column a selection drops: by head, its sum over the slots that are not kept, and over all. What a
 * selection would lose is so known before anything is moved.
 */
export interface WeighSpec {
  readonly slots: SelectSlots;
  /** As `select` would read it, with what waits to be added. Heads that do not store it have sums of 0. */
  readonly column: Exclude<StoredColumn, "position">;
  /** u32 [rowCount, ceil(capacity / 32)], as `select` fills it. */
  readonly keep: DeviceTensor;
  /** f32 [rowCount, 2]: over the slots that are not kept, then over all. */
  readonly sums: DeviceTensor;
}

/**
 * Drop the slots of a layer that are not kept, moving the others down in order. What is stored beside a slot comes
 * from the table where there is one that has the column, and else moves with the slot.
 */
export interface CompactSpec {
  readonly heads: HeadShape;
  readonly paged: PagedKv;
  readonly slots: SelectSlots;
  readonly keep: DeviceTensor;
  /** Row of the slots for the layer's first head. */
  readonly firstRow: number;
}

/**
 * Copy the kept scratch rows behind the kept slots; the pages must be there, with room for them. Scratch row start + i
 * is column counts[row] - count + i of its head. What is stored beside a slot comes from the table; a column that it
 * lacks is 0.
 */
export interface GatherSpec {
  readonly heads: HeadShape;
  readonly scratch: KvScratch;
  readonly start: number;
  readonly count: number;
  readonly paged: PagedKv;
  readonly slots: SlotTable;
  readonly keep: DeviceTensor;
  readonly firstRow: number;
}

/** How a token is drawn. Filters apply in this order: penalty, temperature, top-k, top-p, min-p. */
export interface SamplingParams {
  /** 0 takes the greatest logit. */
  readonly temperature: number;
  /** 0 for no limit. */
  readonly topK: number;
  /** In (0, 1]; 1 for no limit. */
  readonly topP: number;
  /** In [0, 1): least probability as a share of the greatest; 0 for no limit. */
  readonly minP: number;
  /** Above 0; 1 for none. Logits of tokens seen are divided by it, or multiplied where negative (CTRL, section 4.1). */
  readonly repetitionPenalty: number;
  readonly seed: number;
}

/** The id that `sample` gives where a logit is not a number; `embed` leaves its row alone. */
export const NOT_A_TOKEN = 0xffffffff;

export interface SampleSpec {
  /** f32 [1, vocabulary] */
  readonly logits: Rows;
  readonly params: SamplingParams;
  /** Tokens seen, for the penalty. */
  readonly seen: Uint32Array;
  /** The random generator's counter: which of several choices, and the position of the token drawn. */
  readonly choice: number;
  readonly position: number;
  /** u32 [1]: the token, or NOT_A_TOKEN. */
  readonly token: DeviceTensor;
  /** f32 [1]: natural logarithm of the token's probability at temperature 1, before any filter. */
  readonly logProbability: DeviceTensor;
}

/** The operations by name with their specifications: a backend in another thread forwards these. */
export interface BackendOperations {
  embed: EmbedSpec;
  rmsNorm: RmsNormSpec;
  matmul: MatmulSpec;
  append: AppendSpec;
  attend: AttendSpec;
  statistics: StatisticsSpec;
  summarise: SummariseSpec;
  select: SelectSpec;
  weigh: WeighSpec;
  compact: CompactSpec;
  gather: GatherSpec;
  sample: SampleSpec;
}

export type OperationName = keyof BackendOperations;

/**
 * What a decoder needs of a device. Models are written once against it.
 *
 * Every operation enqueues at once and returns nothing; outputs are allocated by the caller. Only
 * `download` and `flush` are promises, and an error of an operation surfaces there, typed, with its label.
 * Operations take effect in the order in which they were enqueued.
 */
export type Backend = {
  readonly [Name in OperationName]: (spec: BackendOperations[Name]) => void;
} & BackendMemory &
  Disposable;

export interface BackendMemory {
  readonly name: "cpu" | "webgpu";
  readonly memory: MemoryMeter;

  /** Memory filled with zeros. */
  allocate(dtype: DType, shape: Shape, options: AllocationOptions): DeviceTensor;

  /**
   * Host data to the device. The backend takes the data over: do not use it afterwards. Half-precision floats
   * become f32 on a backend that computes in f32 only; quantised rows stay as they are. These are read by `matmul` and
   * `embed` alone.
   */
  upload(source: Tensor, options: AllocationOptions): DeviceTensor;

  /** Overwrite elements from `offset` on; the data is copied before the call returns. */
  write(target: DeviceTensor, data: Float32Array | Uint32Array | Int32Array, offset?: number): void;

  /** Fill with zeros. */
  clear(target: DeviceTensor): void;

  /** Overwrite rows by as many others of the same type and width, of another tensor or apart from them in this one. */
  copy(source: Rows, target: Rows): void;

  /** The elements `start` .. `start + count` (all unless told otherwise), once everything enqueued before has run. */
  download(source: DeviceTensor, start?: number, count?: number): Promise<Float32Array | Uint32Array>;

  /** All elements of several tensors, in one journey. */
  downloadAll(sources: readonly DeviceTensor[]): Promise<(Float32Array | Uint32Array)[]>;

  /** Begin what is enqueued so far; nothing has to be awaited for that. */
  submit(): void;

  /** Resolves when everything enqueued so far has run. */
  flush(): Promise<void>;

  /**
   * Stop what is running and drop what is enqueued, within 100 ms where the device allows it: pending downloads and
   * flushes reject with a WinnowError `aborted`. The contents of tensors written meanwhile are undefined.
   * The next operation works as ever.
   */
  interrupt(): void;
}
