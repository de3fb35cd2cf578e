import { STORED_COLUMNS, WinnowError, expectShape, isQuantisedKv, kvRow, type AppendSpec } from "@winnow/core-tensor";

import type { GpuCapabilities } from "../../device/capabilities";
import type { GpuLimits } from "../../device/limits";
import { whole } from "../../dispatch/binding";
import type { Dispatch, Plan } from "../../dispatch/dispatch";
import { flatGrid } from "../../dispatch/grid";
import { boundRows, rowOperand, tensorOperand } from "../../dispatch/operands";
import { slabsOf, storageOf } from "../../dispatch/slabs";
import { QUANTISE_ROWS } from "../../wgsl/quantised-kv";
import { SCRATCH_TYPES, scratchTypeOf } from "../../wgsl/kv";
import { slabBindings, slabGroup, slabNumbers } from "../../wgsl/slab-group";
import { vectorOf } from "../../wgsl/vector";
import { APPEND_COLUMNS, APPEND_COLUMNS_PARAMS, APPEND_COLUMNS_THREADS } from "./append-columns.wgsl";
import { APPEND_FEW_BUFFERS, MOST_FEW_ROWS, appendFewKernel } from "./append-few.wgsl";
import { APPEND_LENGTHS, APPEND_LENGTHS_PARAMS, APPEND_LENGTHS_THREADS } from "./append-lengths.wgsl";
import { appendRowsKernel } from "./append-rows.wgsl";
import { APPEND_PARAMS, APPEND_THREADS, appendKernel } from "./append.wgsl";

type Into<Kind> = Extract<AppendSpec["into"], { kind: Kind }>;

/** Rotate queries in place; rotate keys and put them with the values where they belong. */
export function planAppend(spec: AppendSpec, { limits }: GpuCapabilities): Plan {
  const { heads, qkv, rotation, into } = spec;
  const { queryHeads, kvHeads, headDim } = heads;
  expectShape("append", "qkv", qkv.tensor.shape, [null, (queryHeads + 2 * kvHeads) * headDim]);
  expectShape("append", "rotation", rotation.tensor.shape, [null, headDim]);
  if (rotation.count !== qkv.count) {
    throw new WinnowError("shape", `append: angles of ${rotation.count} rows for ${qkv.count} rows of q, k and v`);
  }
  return into.kind === "scratch" ? planScratch(spec, into, limits) : planPages(spec, into, limits);
}

/** What a dispatch turns and where it finds it; the places are those of the other kind of target. */
function shared(
  { heads, qkv, rotation }: AppendSpec,
  turnedHeads: number,
): Record<keyof typeof APPEND_PARAMS.fields, number> {
  return {
    rows: qkv.count,
    query_heads: heads.queryHeads,
    turned_heads: turnedHeads,
    kv_heads: heads.kvHeads,
    half: heads.headDim / 2 / vectorOf(heads.headDim / 2).width,
    first_row: qkv.start,
    first_rotation: rotation.start,
    capacity: 0,
    at: 0,
    slab_0: 0,
    page_slots: 1,
    pages_per_slab: 1,
    table_width: 0,
  };
}

function planScratch(spec: AppendSpec, { scratch, at }: Into<"scratch">, limits: GpuLimits): Plan {
  const { heads, qkv, rotation } = spec;
  const { queryHeads, kvHeads, headDim } = heads;
  const capacity = scratch.k.shape[1] ?? 0;
  expectShape("append", "scratch keys", scratch.k.shape, [kvHeads, null, headDim]);
  expectShape("append", "scratch values", scratch.v.shape, [kvHeads, capacity, headDim]);
  if (at < 0 || at + qkv.count > capacity) {
    throw new WinnowError("range", `append: rows ${at} to ${at + qkv.count} lie outside the scratch's ${capacity}`);
  }
  const params = { ...shared(spec, queryHeads), capacity, at };
  const keys = tensorOperand("scratch keys", scratch.k, SCRATCH_TYPES);
  return [
    {
      kernel: appendKernel({ vector: vectorOf(headDim / 2), into: "scratch", storage: scratchTypeOf(keys) }),
      params: APPEND_PARAMS.pack(params),
      bindings: {
        qkv: whole(rowOperand("qkv", qkv, ["f32"]).tensor),
        rotation: whole(rowOperand("rotation", rotation, ["f32"]).tensor),
        keys: whole(keys),
        values: whole(tensorOperand("scratch values", scratch.v, [keys.dtype])),
      },
      grid: flatGrid(Math.ceil((qkv.count * (queryHeads + 2 * kvHeads) * params.half) / APPEND_THREADS), limits),
    },
  ];
}

function planPages(spec: AppendSpec, { paged, positions }: Into<"pages">, limits: GpuLimits): Plan {
  const { heads, qkv, rotation } = spec;
  const { queryHeads, kvHeads, headDim } = heads;
  if (positions.count !== qkv.count) {
    throw new WinnowError("shape", `append: ${positions.count} positions for ${qkv.count} rows of q, k and v`);
  }
  const newPositions = rowOperand("positions", positions, ["u32"]);
  if (qkv.count === 0) return [];
  const slabs = slabsOf("slab", paged.slabs);
  if (slabs.length === 0) {
    throw new WinnowError("range", "append: the KV cache has no slab for new slots; resize the row first");
  }
  const storage = storageOf(slabs, headDim);
  kvRow(storage, headDim);
  const source = rowOperand("qkv", qkv, ["f32"]).tensor;
  const angles = rowOperand("rotation", rotation, ["f32"]).tensor;
  const table = whole(tensorOperand("page table", paged.table, ["u32"]));
  const columnTable = boundRows("column table", paged.columnTable, ["u32"]);
  const lengths = whole(tensorOperand("lengths", paged.lengths, ["u32"]));
  const columns = paged.columns === null ? null : whole(tensorOperand("columns", paged.columns, ["f32"]));
  const columnTableWidth = paged.columnTable.tensor.shape[2] ?? 0;
  const vector = vectorOf(headDim / 2);
  const bindable = slabs.length + APPEND_FEW_BUFFERS <= limits.maxStorageBuffersPerShaderStage;
  if (bindable && qkv.count <= MOST_FEW_ROWS && queryHeads % kvHeads === 0) {
    const group = slabGroup(slabs.length);
    const kernel = appendFewKernel({ vector, storage, slabs: group, columns: columns !== null });
    return [
      {
        kernel,
        params: kernel.params.pack({
          ...shared(spec, queryHeads),
          first_position: newPositions.first,
          ...slabNumbers(group, slabs),
          page_slots: paged.pageSlots,
          pages_per_slab: paged.pagesPerSlab,
          table_width: paged.table.shape[1] ?? 0,
          column_table_width: columnTableWidth,
        }),
        bindings: {
          qkv: whole(source),
          rotation: whole(angles),
          page_table: table,
          lengths,
          ...slabBindings(group, slabs),
          ...(columns === null ? {} : { column_table: columnTable, positions: whole(newPositions.tensor), columns }),
        },
        grid: [kvHeads, 1, 1],
      },
    ];
  }
  const queries: Dispatch = {
    kernel: appendKernel({ vector, into: "queries", storage: "f32" }),
    params: APPEND_PARAMS.pack(shared(spec, queryHeads)),
    bindings: { qkv: whole(source), rotation: whole(angles) },
    grid: flatGrid(Math.ceil((qkv.count * headDim * queryHeads) / 2 / vector.width / APPEND_THREADS), limits),
  };
  return [
    ...(isQuantisedKv(storage) ? [queries] : []),
    ...slabs.map(({ number, tensor }, pass): Dispatch => {
      // Queries turn in place: once.
      const turned = pass === 0 && !isQuantisedKv(storage) ? queryHeads : 0;
      const params = {
        ...shared(spec, turned),
        slab_0: number,
        page_slots: paged.pageSlots,
        pages_per_slab: paged.pagesPerSlab,
        table_width: paged.table.shape[1] ?? 0,
      };
      const groups = isQuantisedKv(storage)
        ? (qkv.count * 2 * kvHeads) / QUANTISE_ROWS
        : (qkv.count * (turned + 2 * kvHeads) * params.half) / APPEND_THREADS;
      return {
        kernel: isQuantisedKv(storage)
          ? appendRowsKernel({ vector, storage })
          : appendKernel({ vector, into: "slab", storage }),
        params: APPEND_PARAMS.pack(params),
        bindings: { qkv: whole(source), rotation: whole(angles), page_table: table, lengths, slab_0: whole(tensor) },
        grid: flatGrid(Math.ceil(groups), limits),
      };
    }),
    ...(columns === null
      ? []
      : [
          {
            kernel: APPEND_COLUMNS,
            params: APPEND_COLUMNS_PARAMS.pack({
              rows: qkv.count,
              first_position: newPositions.first,
              page_slots: paged.pageSlots,
              column_table_width: columnTableWidth,
            }),
            bindings: { column_table: columnTable, lengths, positions: whole(newPositions.tensor), columns },
            grid: [Math.ceil(qkv.count / APPEND_COLUMNS_THREADS), STORED_COLUMNS.length, kvHeads] as const,
          },
        ]),
    {
      kernel: APPEND_LENGTHS,
      params: APPEND_LENGTHS_PARAMS.pack({ rows: qkv.count, kv_heads: kvHeads }),
      bindings: { lengths },
      grid: [Math.ceil(kvHeads / APPEND_LENGTHS_THREADS), 1, 1],
    },
  ];
}
