import {
  PIVOTAL_MARGIN,
  WinnowError,
  checkAttend,
  type AttendGroup,
  type AttendRecord,
  type AttendSpec,
  type ColumnReduce,
  type HeadShape,
  type KvScratch,
  type RowRange,
} from "@winnow/core-tensor";
import { PagedReader, distances, f32Of, f32Rows, inRanges, u32Of, type Poll } from "@winnow/core-tensor/cpu";

import type { Address } from "../kernels";
import type { Machine } from "../machine";
import type { CachePages } from "./page-arguments";
import { prepareOnce } from "./prepared";

/** Vectors of queries that share each key: about as many as keep their scores in the nearest cache. */
const TILE_VECTORS = 8;
/** Weights that are kept at a time for those who record them; more only where one row of all heads has more. */
const WEIGHT_BYTES = 16 * 2 ** 20;
/** The widest window that kernels take, behind which no position lies. */
const MOST_WINDOW = 2 ** 31 - 1;
/** Products of a query with a key between two looks at whether to stop. */
const SCORES_AT_ONCE = 4e6;

const KINDS: Readonly<Record<ColumnReduce | "table", number>> = { table: 0, sum: 1, max: 2, count: 3 };

/** Keys and values in scratch, as the kernels take them. */
type ScratchRows = readonly [k: Address, v: Address, capacity: number, start: number, count: number];

/** How the rows of a group are divided, and what memory that takes. */
interface Division {
  /** Of columns that rows see at most. */
  readonly chunks: number;
  /** Columns of those chunks. */
  readonly stride: number;
  /** Rows that share each key. */
  readonly tileRows: number;
  readonly rowsAtOnce: number;
  /** What a thread works in. */
  readonly workBytes: number;
  readonly weightBytes: number;
  readonly greatestBytes: number;
  readonly partialBytes: number;
}

interface PreparedGroup {
  readonly group: AttendGroup;
  /** The latest one: with the next token it is mostly the same. */
  division: Division | null;
  readonly pages: CachePages | null;
  readonly context: ScratchRows | null;
  readonly own: ScratchRows | null;
}

interface Prepared {
  readonly q: Address;
  readonly out: Address;
  /** Those that have rows. */
  readonly groups: readonly PreparedGroup[];
}

/**
 * Softmax attention in chunks of columns, which are merged in order: a row's result depends on its keys and their order alone,
 * not on the rows beside it, on the number of threads, or on whether a key lies in a page or in scratch. A row that sees no
 * key gives zeros.
 */
export function attendOf(machine: Machine): (spec: AttendSpec, poll: Poll) => void {
  const preparedOf = prepareOnce((spec: AttendSpec) => prepare(machine, spec));
  return (spec, poll) => {
    const prepared = preparedOf(spec);
    for (const group of prepared.groups) attendGroup(machine, spec, prepared, group, poll);
  };
}

function prepare(machine: Machine, spec: AttendSpec): Prepared {
  checkAttend(spec);
  const { memory, pages } = machine;
  return {
    q: memory.addressOf(f32Rows("attend", "qkv", spec.qkv)),
    out: memory.addressOf(f32Rows("attend", "out", spec.out)),
    groups: spec.groups
      .filter(({ count }) => count > 0)
      .map((group) => ({
        group,
        division: null,
        pages: group.paged === undefined ? null : pages.of(group.paged.kv, spec.heads),
        context: group.context === undefined ? null : scratchRows(machine, group.context, group.context.count),
        own: group.own === undefined ? null : scratchRows(machine, group.own, group.count),
      })),
  };
}

function scratchRows(
  { memory }: Machine,
  { scratch: { k, v }, start }: { readonly scratch: KvScratch; readonly start: number },
  count: number,
): ScratchRows {
  return [memory.addressOf(f32Of(k)), memory.addressOf(f32Of(v)), k.shape[1] ?? 0, start, count];
}

function attendGroup(
  machine: Machine,
  spec: AttendSpec,
  { q, out }: Prepared,
  prepared: PreparedGroup,
  poll: Poll,
): void {
  const { kernels, pages, work, threads } = machine;
  const { heads, scale, softCap, window, record } = spec;
  const { queryHeads, kvHeads, headDim } = heads;
  const { group } = prepared;
  const perGroup = queryHeads / kvHeads;
  if (prepared.pages === null) pages.useNone();
  else pages.use(prepared.pages);
  kernels.attend_heads(
    kvHeads,
    perGroup,
    headDim,
    scale,
    softCap ?? 0,
    Math.min(window ?? 0, MOST_WINDOW),
    q,
    (queryHeads + 2 * kvHeads) * headDim,
    out,
    queryHeads * headDim,
  );
  if (prepared.context !== null) kernels.attend_context(...prepared.context);
  if (prepared.own !== null) kernels.attend_own(...prepared.own);

  const kept = prepared.pages?.lengths ?? new Uint32Array(kvHeads);
  const most = greatest(kept) + (group.context?.count ?? 0) + (group.own === undefined ? 0 : group.count);
  const recorder = record === undefined ? null : new Recorder(machine, record, heads, group, kept);
  const stores = spec.accumulate === true && group.paged !== undefined && group.paged.kv.columns !== null;
  const wantsWeights = recorder !== null || stores;
  const chunks = Math.max(1, Math.ceil(most / kernels.attend_chunk_columns()));
  if (prepared.division?.chunks !== chunks) {
    prepared.division = divide(machine, heads, group.count, chunks, wantsWeights);
  }
  const { stride, tileRows, rowsAtOnce, workBytes, weightBytes, greatestBytes, partialBytes } = prepared.division;
  const [threadWork = 0, distanceAt = 0, weights = 0, greatestAt = 0, partials = 0, recordWork = 0] = work.reserve(
    threads * workBytes,
    window === undefined ? 0 : 4 * kvHeads * stride,
    weightBytes,
    greatestBytes,
    partialBytes,
    recorder?.bytes(rowsAtOnce) ?? 0,
  );
  if (window !== undefined) {
    const reader = group.paged === undefined ? null : new PagedReader(group.paged.kv, headDim);
    for (let head = 0; head < kvHeads; head++) {
      const words = work.words(distanceAt + 4 * head * stride, stride);
      words.set(distances(group, reader, head));
    }
  }
  kernels.attend_group(
    group.start,
    group.count,
    group.paged?.appended ?? 0,
    distanceAt,
    stride,
    tileRows,
    threadWork,
    workBytes,
  );
  recorder?.prepare(recordWork);
  for (let from = 0; from < group.count; from += rowsAtOnce) {
    poll();
    const count = Math.min(rowsAtOnce, group.count - from);
    const split = partialBytes > 0 && kernels.attend_partials(count, most, tileRows) > 0;
    kernels.attend(from, count, most, wantsWeights ? weights : 0, stride, greatestAt, split ? partials : 0);
    recorder?.add(from, count, most);
    if (stores) kernels.accumulate();
  }
}

/** @param wantsWeights whether every row's weights are to be kept. */
function divide(
  { kernels }: Machine,
  { queryHeads, kvHeads, headDim }: HeadShape,
  rowCount: number,
  chunks: number,
  wantsWeights: boolean,
): Division {
  const perGroup = queryHeads / kvHeads;
  const stride = chunks * kernels.attend_chunk_columns();
  const rowBytes = 4 * stride * queryHeads;
  const mostRows = wantsWeights ? WEIGHT_BYTES / rowBytes : SCORES_AT_ONCE / (stride * queryHeads);
  // As many rows as share each key, and no more than may be attended at once.
  const tileRows = Math.max(1, Math.floor(Math.min(TILE_VECTORS / perGroup, mostRows)));
  const rowsAtOnce = Math.min(rowCount, Math.max(1, Math.floor(mostRows / tileRows)) * tileRows);
  return {
    chunks,
    stride,
    tileRows,
    rowsAtOnce,
    workBytes: kernels.attend_work(tileRows, perGroup, headDim),
    weightBytes: wantsWeights ? rowsAtOnce * rowBytes : 0,
    greatestBytes: wantsWeights ? 4 * rowsAtOnce * queryHeads * chunks : 0,
    partialBytes: Math.max(
      kernels.attend_partials(rowsAtOnce, stride, tileRows),
      kernels.attend_partials(rowCount % rowsAtOnce, stride, tileRows),
    ),
  };
}

function greatest(counts: Uint32Array): number {
  let most = 0;
  for (const count of counts) most = Math.max(most, count);
  return most;
}

/** Adds the weights of a group's rows to the mass tables and the columns that were asked for. */
class Recorder {
  readonly #positions: Uint32Array;
  /** Columns of the positions of a head. */
  readonly #stride: number;
  readonly #hasBands: boolean;
  readonly #bands: number;
  #at: Address = 0;

  constructor(
    private readonly machine: Machine,
    private readonly record: AttendRecord,
    private readonly heads: HeadShape,
    private readonly group: AttendGroup,
    private readonly kept: Uint32Array,
  ) {
    this.#positions = u32Of(record.positions);
    this.#stride = Math.max(...kept) + record.columnRows;
    this.#hasBands = record.tables.some(({ bands }) => bands.length > 0);
    this.#bands = Math.max(0, ...record.tables.map(({ bands }) => bands.length));
    for (const { into } of [...record.tables, ...record.columns]) {
      if ((into.shape[1] ?? 0) < this.#stride) {
        throw new WinnowError(
          "shape",
          `attend: "${into.label}" has ${into.shape[1] ?? 0} columns, and ${this.#stride} are recorded`,
        );
      }
    }
  }

  /** Work memory: positions of every column, the bands of a table, and whether each row counts. */
  bytes(rows: number): number {
    return (this.#hasBands ? 4 * this.heads.kvHeads * this.#stride : 0) + 4 * this.#bands + rows + 64;
  }

  prepare(at: Address): void {
    this.#at = at;
    if (!this.#hasBands) return;
    const { paged } = this.group;
    const reader = paged === undefined ? null : new PagedReader(paged.kv, this.heads.headDim);
    for (const [head, kept] of this.kept.entries()) {
      const words = this.machine.work.words(at + 4 * head * this.#stride, this.#stride);
      for (let column = 0; column < kept + this.record.columnRows; column++) {
        words[column] =
          column < kept ? (reader?.position(head, column) ?? column) : (this.#positions[column - kept] ?? 0);
      }
    }
  }

  add(from: number, count: number, columns: number): void {
    const { tables, columns: reduced } = this.record;
    for (const { into, bands, rows } of tables)
      this.#add("table", f32Of(into), into.shape[1], bands, rows, from, count, columns);
    for (const { reduce, into, rows } of reduced)
      this.#add(reduce, f32Of(into), into.shape[1], [], rows, from, count, columns);
  }

  #add(
    kind: ColumnReduce | "table",
    into: Float32Array,
    stride: number | undefined,
    bands: readonly number[],
    ranges: readonly RowRange[],
    from: number,
    count: number,
    columns: number,
  ): void {
    const { kernels, memory, work } = this.machine;
    const first = this.record.firstRow + this.group.start + from;
    const bandsAt = this.#at + (this.#hasBands ? 4 * this.heads.kvHeads * this.#stride : 0);
    const rowsAt = bandsAt + 4 * this.#bands;
    const counts = work.bytes(rowsAt, count);
    let any = false;
    for (let i = 0; i < count; i++) {
      const isAsked = inRanges(ranges, first + i);
      counts[i] = isAsked ? 1 : 0;
      any ||= isAsked;
    }
    if (!any) return;
    work.words(bandsAt, bands.length).set(bands);
    kernels.record(
      KINDS[kind],
      memory.addressOf(into),
      stride ?? 0,
      rowsAt,
      bands.length,
      bandsAt,
      memory.addressOf(this.#positions) + 4 * first,
      this.#at,
      this.#stride,
      this.record.columnRows,
      columns,
      PIVOTAL_MARGIN,
    );
  }
}
