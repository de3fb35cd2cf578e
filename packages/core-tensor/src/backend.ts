import type { DeviceTensor, Rows } from "./device-tensor";
import type { DType } from "./dtype";
import type { MemoryCategory, MemoryMeter } from "./memory-meter";
import type { Shape } from "./shape";
import type { HeadShape, KvScratch, PagedKv } from "./paged-kv";
import type { CompactSpec, GatherSpec, SelectSpec, StatisticsSpec, SummariseSpec, WeighSpec } from "./slot-operations";
import type { Tensor } from "./tensor";

export * from "./paged-kv";
export * from "./slot-operations";

export interface AllocationOptions {
  /** Names the memory in reports and errors, such as `layers.3.qkv`. */
  readonly label: string;
  readonly category: MemoryCategory;
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
 * to pages have neither context nor own; up to eight of them are given, to the bit, what each is given by itself.
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
  /**
   * So many rows of one product are each given, to the bit, what each is given by itself. Answers that are written at the same
   * time share products of as many rows.
   */
  readonly stepRows: number;

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

  /** All elements of several tensors, in one journey; the arrays may be parts of one buffer. */
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
