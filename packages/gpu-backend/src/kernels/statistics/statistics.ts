import {
  COMPUTED_COLUMNS,
  STORED_COLUMNS,
  WAITING,
  WinnowError,
  type KvType,
  type StatisticsSpec,
  type StoredColumn,
} from "@winnow/core-tensor";

import { scratch, whole, type Binding } from "../../dispatch/binding";
import type { Dispatch, Plan } from "../../dispatch/dispatch";
import type { Grid } from "../../dispatch/grid";
import { boundRows, tensorOperand } from "../../dispatch/operands";
import { slabsOf } from "../../dispatch/slabs";
import { SCRATCH_TYPES, kvTypeOf, scratchTypeOf } from "../../wgsl/kv";
import { KEY_PARAMS, keyColumnKernel } from "./key-columns.wgsl";
import { KEY_MEAN_PARAMS, KEY_PART_PARAMS, SCRATCH_CHUNK, keyMeanKernel, keyPartsKernel } from "./key-mean.wgsl";
import type { KeySource } from "./key-places.wgsl";
import { FACTS_PARAMS, SLOT_FLAGS, SLOT_THREADS, slotFactsKernel } from "./slot-facts.wgsl";
import {
  RECORDED_PARAMS,
  STORED_PARAMS,
  recordedColumnKernel,
  storedColumnKernel,
  type StoredColumnVariant,
} from "./stored-column.wgsl";

/** What all dispatches of a layer's statistics are made of. */
interface Layer {
  readonly spec: StatisticsSpec;
  /** Rows of the scratch that become slots. */
  readonly fresh: number;
  readonly counts: Binding;
  readonly positions: Binding;
  /** Over the slots that a head can have, by head. */
  readonly grid: Grid;
}

/** Fill rows of a slot table: a layer's kept slots, then scratch rows. Columns of other names are left alone. */
export function planStatistics(spec: StatisticsSpec): Plan {
  const fresh = spec.scratch?.count ?? 0;
  const bounds = spec.paged?.bounds ?? [];
  check(spec, fresh);
  const most = Math.min(spec.into.capacity, Math.max(0, ...bounds) + fresh);
  const layer: Layer = {
    spec,
    fresh,
    counts: whole(tensorOperand("counts", spec.into.counts, ["u32"])),
    positions: whole(tensorOperand("positions", spec.into.position, ["u32"])),
    grid: [Math.max(1, Math.ceil(most / SLOT_THREADS)), spec.heads.kvHeads, 1],
  };
  return [...planFacts(layer), ...planStored(layer), ...planComputed(layer)];
}

/** @throws WinnowError `shape` or `range` */
function check({ heads, scratch: source, positions, into, firstRow }: StatisticsSpec, fresh: number): void {
  const known = positions?.shape[0] ?? 0;
  const last = (source?.start ?? 0) + fresh;
  if (fresh > 0 && known < last) {
    throw new WinnowError("shape", `statistics: ${known} positions, and scratch rows up to ${last}; give one a row`);
  }
  if (firstRow + heads.kvHeads > into.rowCount) {
    throw new WinnowError(
      "range",
      `statistics: ${heads.kvHeads} heads from row ${firstRow} on do not fit in a table of ${into.rowCount} rows`,
    );
  }
}

function planFacts(layer: Layer): Dispatch[] {
  const { spec, fresh, counts, positions, grid } = layer;
  const { into, paged } = spec;
  const flags = tensorOperand("flags", spec.flags, ["u32"]);
  const params = FACTS_PARAMS.pack({
    first_row: spec.firstRow,
    capacity: into.capacity,
    fresh,
    start: spec.scratch?.start ?? 0,
    known: flags.shape[0] ?? 0,
  });
  const newPositions = fresh === 0 ? undefined : spec.positions;
  return [
    {
      kernel: slotFactsKernel({ paged: paged !== undefined, fresh: newPositions !== undefined }),
      params,
      bindings: {
        ...(paged === undefined ? {} : { lengths: whole(tensorOperand("lengths", paged.lengths, ["u32"])) }),
        ...(newPositions === undefined
          ? {}
          : { new_positions: whole(tensorOperand("positions", newPositions, ["u32"])) }),
        counts,
        positions,
      },
      grid,
    },
    ...storedIn(layer, "position", "set", positions),
    {
      kernel: SLOT_FLAGS,
      params,
      bindings: {
        class_flags: whole(flags),
        counts,
        positions,
        slot_flags: whole(tensorOperand("flags", into.flags, ["u32"])),
      },
      grid,
    },
  ];
}

/** What the extend recorded, put together with what heads store. */
function planStored(layer: Layer): Dispatch[] {
  const { spec, counts, grid } = layer;
  const { into, recorded, firstRow } = spec;
  return STORED_COLUMNS.flatMap((name) => {
    const column = into.columns[name];
    if (column === undefined || name === "position") return [];
    const output = whole(tensorOperand(name, column, ["f32"]));
    const record = recorded.find((one) => one.name === name);
    const begin: Dispatch = {
      kernel: recordedColumnKernel({ recorded: record?.reduce ?? "no" }),
      params: RECORDED_PARAMS.pack({
        first_row: firstRow,
        capacity: into.capacity,
        room: record?.from.shape[1] ?? 0,
      }),
      bindings: {
        counts,
        ...(record === undefined ? {} : { seen: whole(tensorOperand(name, record.from, ["f32"])) }),
        column: output,
      },
      grid,
    };
    if (record?.reduce === "replace") return [begin];
    const stored = storedIn(layer, name, record?.reduce ?? "set", output);
    const waiting = WAITING[name];
    if (waiting === undefined || spec.paged?.pending !== true) return [begin, ...stored];
    return [begin, ...stored, ...storedIn(layer, waiting.column, waiting.reduce, output, name)];
  });
}

/** One column of the kept slots, of the heads that store a second one too. */
function storedIn(
  { spec, grid }: Layer,
  name: StoredColumn,
  reduce: StoredColumnVariant["reduce"],
  output: Binding,
  beside = name,
): Dispatch[] {
  const { paged, into, firstRow } = spec;
  if (paged === undefined || paged.columns === null) return [];
  return [
    {
      kernel: storedColumnKernel({ reduce }),
      params: STORED_PARAMS.pack({
        first_row: firstRow,
        capacity: into.capacity,
        column: STORED_COLUMNS.indexOf(name),
        beside: STORED_COLUMNS.indexOf(beside),
        page_slots: paged.pageSlots,
        column_table_width: paged.columnTable.tensor.shape[2] ?? 0,
      }),
      bindings: {
        lengths: whole(tensorOperand("lengths", paged.lengths, ["u32"])),
        column_table: boundRows("column table", paged.columnTable, ["u32"]),
        columns: whole(tensorOperand("columns", paged.columns, ["f32"])),
        table_column: output,
      },
      grid,
    },
  ];
}

/** Keys and values in one place. */
interface KeyPlace {
  readonly source: KeySource;
  readonly storage: KvType;
  readonly params: Readonly<
    Record<"slab" | "page_slots" | "pages_per_slab" | "table_width" | "start" | "fresh" | "capacity", number>
  >;
  readonly keys: Readonly<Record<string, Binding>>;
  readonly values: Readonly<Record<string, Binding>>;
}

/** Columns that follow from keys and values. */
function planComputed(layer: Layer): Dispatch[] {
  const { spec, grid } = layer;
  const { heads, into, paged, firstRow } = spec;
  const wanted = COMPUTED_COLUMNS.filter((name) => into.columns[name] !== undefined);
  if (wanted.length === 0) return [];
  const places = keyPlaces(layer);
  const params = (place: KeyPlace): Dispatch["params"] =>
    KEY_PARAMS.pack({
      first_row: firstRow,
      table_capacity: into.capacity,
      head_dim: heads.headDim,
      ...place.params,
    });
  const means = scratch("statistics.means", heads.kvHeads * heads.headDim * 4);
  return [
    ...(wanted.includes("keyDiff") ? planMeans(layer, places, means) : []),
    ...wanted.flatMap((name) =>
      places.map((place): Dispatch => {
        const column = into.columns[name];
        return {
          kernel: keyColumnKernel({
            source: place.source,
            storage: place.storage,
            paged: paged !== undefined,
            column: name,
          }),
          params: params(place),
          bindings: {
            ...(name === "valueNorm" ? place.values : place.keys),
            ...(name === "keyDiff" ? { means } : {}),
            ...(column === undefined ? {} : { column: whole(tensorOperand(name, column, ["f32"])) }),
          },
          grid,
        };
      }),
    ),
  ];
}

/** Each head's mean key: chunk by chunk, then in the order of its slots. */
function planMeans({ spec, fresh, counts }: Layer, places: readonly KeyPlace[], means: Binding): Dispatch[] {
  const { heads, into, paged, firstRow } = spec;
  const { kvHeads, headDim } = heads;
  const pageSlots = paged?.pageSlots ?? 1;
  const pages = paged === undefined ? 0 : Math.ceil(Math.max(0, ...paged.bounds) / pageSlots);
  const chunks = Math.max(1, pages + Math.ceil(fresh / SCRATCH_CHUNK));
  const parts = scratch("statistics.parts", kvHeads * chunks * headDim * 4);
  const elements = Math.ceil(headDim / SLOT_THREADS);
  const common = { first_row: firstRow, table_capacity: into.capacity, head_dim: headDim };
  return [
    ...places.map(({ source, storage, params, keys }): Dispatch => {
      const kept = source === "slab";
      return {
        kernel: keyPartsKernel({ source, storage, paged: paged !== undefined }),
        params: KEY_PART_PARAMS.pack({
          ...common,
          ...params,
          chunk: kept ? pageSlots : SCRATCH_CHUNK,
          first_chunk: kept ? 0 : pages,
          chunks,
        }),
        bindings: { ...keys, counts, parts },
        grid: [elements, kvHeads, kept ? pages : Math.ceil(fresh / SCRATCH_CHUNK)],
      };
    }),
    {
      kernel: keyMeanKernel({ paged: paged !== undefined }),
      params: KEY_MEAN_PARAMS.pack({
        head_dim: headDim,
        table_capacity: into.capacity,
        page_slots: pageSlots,
        fresh,
        fresh_chunk: pages,
        chunks,
      }),
      bindings: {
        ...(paged === undefined ? {} : { lengths: whole(tensorOperand("lengths", paged.lengths, ["u32"])) }),
        parts,
        means,
      },
      grid: [elements, kvHeads, 1],
    },
  ];
}

function keyPlaces({ spec, fresh }: Layer): KeyPlace[] {
  const { paged, scratch: source } = spec;
  const nowhere = { slab: 0, page_slots: 1, pages_per_slab: 1, table_width: 0, start: 0, fresh: 0, capacity: 0 };
  const kept = paged === undefined ? {} : { lengths: whole(tensorOperand("lengths", paged.lengths, ["u32"])) };
  const inSlabs =
    paged === undefined
      ? []
      : slabsOf("slab", paged.slabs).map(({ number, tensor }): KeyPlace => {
          const bound = {
            ...kept,
            page_table: whole(tensorOperand("page table", paged.table, ["u32"])),
            slab: whole(tensor),
          };
          return {
            source: "slab",
            storage: kvTypeOf(tensor, spec.heads.headDim),
            params: {
              ...nowhere,
              slab: number,
              page_slots: paged.pageSlots,
              pages_per_slab: paged.pagesPerSlab,
              table_width: paged.table.shape[1] ?? 0,
            },
            keys: bound,
            values: bound,
          };
        });
  if (source === undefined || fresh === 0) return inSlabs;
  const keys = tensorOperand("keys", source.kv.k, SCRATCH_TYPES);
  return [
    ...inSlabs,
    {
      source: "scratch",
      storage: scratchTypeOf(keys),
      params: { ...nowhere, start: source.start, fresh, capacity: source.kv.k.shape[1] ?? 0 },
      keys: { ...kept, keys: whole(keys) },
      values: { ...kept, values: whole(tensorOperand("values", source.kv.v, [keys.dtype])) },
    },
  ];
}
