import type { AttendRecord, ColumnReduce, KvType, RowRange } from "@winnow/core-tensor";

import type { GpuLimits } from "../../device/limits";
import { whole, type Binding } from "../../dispatch/binding";
import type { Dispatch } from "../../dispatch/dispatch";
import { tensorOperand } from "../../dispatch/operands";
import type { GroupRows } from "./group-rows";
import {
  MOST_OUTPUTS,
  RECORD_COLUMNS,
  RECORD_PARAMS,
  attendRecordKernel,
  readsPositions,
  recordOutputs,
  type AttendRecordVariant,
} from "./attend-record.wgsl";
import type { AttendSources, PagedSource, ScratchSource } from "./attend-sources";

/** Where weights are put together. */
export interface RecordOutput {
  readonly into: Binding;
  /** Columns that a head has room for. */
  readonly room: number;
  /** `table`: by query head and band. */
  readonly reduce: "table" | ColumnReduce;
  /** Whether a row of the group, counted from its first, goes into it. */
  readonly takes: (row: number) => boolean;
}

/** What all dispatches of a recording share. */
interface Recording {
  readonly into: AttendRecordVariant["into"];
  readonly windows: readonly number[];
  readonly outputs: readonly RecordOutput[];
}

/** Put the weights of the group's profiled rows into the mass table and the columns that were asked for. */
export function planRecord(
  rows: GroupRows,
  record: AttendRecord,
  { paged, scratch: rest }: AttendSources,
  limits: GpuLimits,
): Dispatch[] {
  const rowPositions = whole(tensorOperand("positions", record.positions, ["u32"]));
  return recordingsOf(rows, record).flatMap((recording) => [
    ...(paged === null ? [] : planSlabs(rows, recording, paged, limits)),
    ...rest.flatMap((source) => planScratch(rows, recording, record.columnRows, source, paged, rowPositions, limits)),
  ]);
}

/** What a group's rows give each kept slot, instead of what is there. */
export function planSeen(
  rows: GroupRows,
  outputs: readonly RecordOutput[],
  paged: PagedSource,
  limits: GpuLimits,
): Dispatch[] {
  return planSlabs(rows, { into: "set", windows: [], outputs }, paged, limits);
}

/** A table each, the columns with the first of them. */
function recordingsOf(rows: GroupRows, { tables, columns }: AttendRecord): Recording[] {
  const output = (
    { into, rows: ranges }: { into: AttendRecord["positions"]; rows: readonly RowRange[] },
    reduce: RecordOutput["reduce"],
  ): RecordOutput => ({
    into: whole(tensorOperand(reduce === "table" ? "mass table" : `${reduce} of the columns`, into, ["f32"])),
    room: into.shape[1] ?? 0,
    reduce,
    takes: (row) => inRanges(ranges, rows.number + row),
  });
  const taken = (outputs: readonly RecordOutput[]): RecordOutput[] =>
    outputs.filter(({ takes }) => rowNumbers(rows).some(takes));
  const ofTables = tables.map((table) => ({ windows: table.bands, outputs: taken([output(table, "table")]) }));
  const ofColumns = taken(columns.map((column) => output(column, column.reduce)));
  const [first = { windows: [], outputs: [] }, ...others] = ofTables.filter(({ outputs }) => outputs.length > 0);
  return [{ ...first, outputs: [...first.outputs, ...ofColumns] }, ...others]
    .filter(({ outputs }) => outputs.length > 0)
    .map((recording) => ({ into: "add", ...recording }));
}

/** The params of what a pass does not have. */
const NOWHERE = {
  slab: 0,
  page_slots: 1,
  pages_per_slab: 1,
  table_width: 0,
  appended: 0,
  context_start: 0,
  context_count: 0,
  own_start: 0,
  own_rows: 0,
  capacity: 0,
  column_rows: 0,
  row_positions: 0,
  slot_positions: 0,
  slots: 0,
};

interface RecordPass {
  readonly source: "slab" | "scratch";
  readonly storage: KvType;
  readonly paged: boolean;
  readonly params: typeof NOWHERE;
  readonly inputs: Readonly<Record<string, Binding>>;
  readonly positions: Binding;
  /** Columns at most. */
  readonly places: number;
}

function planSlabs(rows: GroupRows, recording: Recording, paged: PagedSource, limits: GpuLimits): Dispatch[] {
  const { positions } = rows;
  return paged.slabs.flatMap(({ number, tensor }) => {
    const params = {
      ...NOWHERE,
      slab: number,
      page_slots: paged.kv.pageSlots,
      pages_per_slab: paged.kv.pagesPerSlab,
      table_width: paged.tableWidth,
      appended: paged.appended,
      slot_positions: rows.count,
      slots: paged.longest,
    };
    const inputs = { lengths: whole(paged.lengths), page_table: whole(paged.table), slab: whole(tensor) };
    return planPass(
      rows,
      recording,
      { source: "slab", storage: paged.storage, paged: true, params, inputs, positions, places: paged.longest },
      limits,
    );
  });
}

function planScratch(
  rows: GroupRows,
  recording: Recording,
  columnRows: number,
  source: ScratchSource,
  paged: PagedSource | null,
  positions: Binding,
  limits: GpuLimits,
): Dispatch[] {
  const params = {
    ...NOWHERE,
    context_start: source.contextStart,
    context_count: source.contextCount,
    own_start: source.ownStart,
    own_rows: source.ownRows,
    capacity: source.capacity,
    column_rows: columnRows,
    row_positions: rows.number,
  };
  const inputs = { ...(paged === null ? {} : { lengths: whole(paged.lengths) }), keys: whole(source.keys) };
  const places = source.contextCount + source.ownRows;
  return planPass(
    rows,
    recording,
    { source: "scratch", storage: source.storage, paged: paged !== null, params, inputs, positions, places },
    limits,
  );
}

/** One dispatch for as many outputs as the device binds at once. */
function planPass(rows: GroupRows, recording: Recording, pass: RecordPass, limits: GpuLimits): Dispatch[] {
  const { queryHeads, kvHeads, headDim } = rows.spec.heads;
  const { outputs, windows, into } = recording;
  const { window, spec } = rows;
  const counts = outputs.some(({ reduce }) => reduce === "count");
  const inputs = Object.keys(pass.inputs).length + (windows.length > 0 || window !== null || counts ? 1 : 0);
  // Queries, sums and masks are bound besides.
  const atOnce = Math.max(1, Math.min(MOST_OUTPUTS, limits.maxStorageBuffersPerShaderStage - 3 - inputs));
  const plan: Dispatch[] = [];
  for (let first = 0; first < outputs.length; first += atOnce) {
    const some = outputs.slice(first, first + atOnce);
    const bands = some[0]?.reduce === "table" ? windows.length + 1 : 0;
    const columns = some.map(({ reduce }) => reduce).filter((reduce) => reduce !== "table");
    const masks = rowNumbers(rows).map((row) =>
      some.reduce((mask, { takes }, i) => (takes(row) ? mask | (1 << i) : mask), 0),
    );
    const variant = {
      headDim,
      source: pass.source,
      storage: pass.storage,
      paged: pass.paged,
      bands,
      columns,
      into,
      capped: spec.softCap !== undefined,
      windowed: window !== null,
    };
    const names = recordOutputs(variant);
    const room = (i: number): number => some[i]?.room ?? 0;
    plan.push({
      kernel: attendRecordKernel(variant),
      params: RECORD_PARAMS.pack({
        query_heads: queryHeads,
        kv_heads: kvHeads,
        rows: rows.count,
        qkv_row: rows.qkvRow,
        scale: spec.scale,
        ...pass.params,
        soft_cap: spec.softCap ?? 0,
        window: window?.size ?? 0,
        position: window?.position ?? 0,
        columns: Math.min(...some.map((output) => output.room)),
        room0: room(0),
        room1: room(1),
        room2: room(2),
        room3: room(3),
      }),
      bindings: {
        qkv: whole(rows.qkv),
        log_sums: rows.logSums,
        ...pass.inputs,
        ...(readsPositions(variant) ? { positions: pass.positions } : {}),
        ...Object.fromEntries(some.map(({ into: output }, i) => [names[i] ?? "", output])),
      },
      data: Uint32Array.from([...(bands > 0 ? windows : []), ...masks]),
      grid: [Math.ceil(pass.places / RECORD_COLUMNS), kvHeads, 1],
    });
  }
  return plan;
}

function rowNumbers({ count }: GroupRows): number[] {
  return Array.from({ length: count }, (_, row) => row);
}

function inRanges(ranges: readonly RowRange[], row: number): boolean {
  return ranges.some(({ start, end, stride }) => row >= start && row < end && (row - start) % stride === 0);
}
