import { PIVOTAL_MARGIN, type ColumnReduce, type KvType } from "@winnow/core-tensor";

import { defineKernel, kernelVariants } from "../../dispatch/kernel";
import { paramBlock } from "../../dispatch/params";
import { kvVectors, type KvVectors } from "../../wgsl/kv";
import { lanesOf } from "../../wgsl/lanes";
import { softCapped } from "../../wgsl/soft-cap";

/** Columns of a workgroup, one a thread. */
export const RECORD_COLUMNS = 64;

/** Outputs of one dispatch. */
export const MOST_OUTPUTS = 4;

export interface AttendRecordVariant {
  readonly headDim: number;
  /** Where the keys of the recorded columns lie. */
  readonly source: "slab" | "scratch";
  /** Of the slab or the scratch. */
  readonly storage: KvType;
  /** Whether there are kept slots, which come before the scratch's columns. */
  readonly paged: boolean;
  /** Bands of the mass table; 0 where none is recorded. */
  readonly bands: number;
  /** What is taken of each column's weights, besides the table; with the table four at most. */
  readonly columns: readonly ColumnReduce[];
  /** Whether to put results together with what is there, or to overwrite it. */
  readonly into: "add" | "set";
  readonly capped: boolean;
  /** Whether rows see a window of positions. */
  readonly windowed: boolean;
}

export const RECORD_PARAMS = paramBlock({
  query_heads: "u32",
  kv_heads: "u32",
  rows: "u32",
  qkv_row: "u32",
  scale: "f32",
  slab: "u32",
  page_slots: "u32",
  pages_per_slab: "u32",
  table_width: "u32",
  appended: "u32",
  context_start: "u32",
  context_count: "u32",
  own_start: "u32",
  own_rows: "u32",
  capacity: "u32",
  column_rows: "u32",
  // Where the positions of the rows and those of the slots begin, and how many slots a head has there.
  row_positions: "u32",
  slot_positions: "u32",
  slots: "u32",
  soft_cap: "f32",
  window: "u32",
  // Of the group's first row.
  position: "u32",
  // Columns that all outputs have room for, and each has.
  columns: "u32",
  room0: "u32",
  room1: "u32",
  room2: "u32",
  room3: "u32",
});

/** The names of a variant's outputs, in order. */
export function recordOutputs({ bands, columns }: Pick<AttendRecordVariant, "bands" | "columns">): string[] {
  return [...(bands > 0 ? ["mass_table"] : []), ...columns.map((_, i) => `column${i}`)];
}

/**
 * The attention weights of profiled rows, put together by column: a thread has a column's key in registers and computes
 * its weights exp(score − log-sum-exp) anew, row by row. So nothing of size rows × columns is ever stored, and nothing is
 * added atomically. Its data: the bands' windows, then a mask a row, whose bit i says that the row goes into output i.
 */
export const attendRecordKernel = kernelVariants((variant: AttendRecordVariant) => {
  const { headDim, source, paged } = variant;
  const type = `array<${lanesOf(headDim).type}>`;
  const outputs = recordOutputs(variant).map((name) => [name, { access: "write", type: "array<f32>" }] as const);
  return defineKernel({
    label: "attend.record",
    params: RECORD_PARAMS,
    storage: {
      qkv: { access: "read", type },
      log_sums: { access: "read", type: "array<f32>" },
      ...(paged ? ({ lengths: { access: "read", type: "array<u32>" } } as const) : {}),
      ...(source === "slab"
        ? ({
            page_table: { access: "read", type: "array<u32>" },
            slab: { access: "read", type: keysOf(variant).type },
          } as const)
        : ({ keys: { access: "read", type: keysOf(variant).type } } as const)),
      ...(readsPositions(variant) ? ({ positions: { access: "read", type: "array<u32>" } } as const) : {}),
      ...Object.fromEntries(outputs),
    },
    data: "array<u32>",
    code: attendRecordWgsl(variant),
  });
});

/** Whether a variant needs to know positions that it cannot work out from a column's place. */
export function readsPositions({ bands, columns, windowed, source }: AttendRecordVariant): boolean {
  return bands > 1 || columns.includes("count") || (windowed && source === "slab");
}

function keysOf({ headDim, source, storage }: AttendRecordVariant): KvVectors {
  const { width, units } = lanesOf(headDim);
  return kvVectors(source === "slab" ? "slab" : "keys", storage, width, units);
}

function attendRecordWgsl(variant: AttendRecordVariant): string {
  const { headDim, source, paged, bands, columns, into, capped, windowed } = variant;
  const keys = keysOf(variant);
  const { type, units } = lanesOf(headDim);
  const banded = bands > 1;
  const windows = Math.max(0, bands - 1);
  const tables = bands > 0 ? 1 : 0;
  return `
alias V = ${type};
const UNITS = ${units}u;
// Elements of the source from one row to the next.
const STRIDE = ${keys.stride}u;

@compute @workgroup_size(${RECORD_COLUMNS})
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let place = id.x;
  let head = id.y;
  let per_group = params.query_heads / params.kv_heads;
  let kept = ${paged ? "lengths[head]" : "0u"};
  ${
    source === "slab"
      ? `
  if (place >= kept) { return; }
  let page = page_table[head * params.table_width + place / params.page_slots];
  if (page / params.pages_per_slab != params.slab) { return; }
  let at = ((page % params.pages_per_slab) * 2u * params.page_slots + place % params.page_slots) * STRIDE;
  let column = place;
  // The first row that sees the column.
  let first = select(0u, place + params.appended - kept, place + params.appended > kept);
  ${readsPositions(variant) ? "let position = positions[params.slot_positions + head * params.slots + place];" : ""}`
      : `
  if (place >= params.context_count + params.own_rows) { return; }
  let own = place >= params.context_count;
  let number = select(params.context_start + place, params.own_start + place - params.context_count, own);
  if (number >= params.column_rows) { return; }
  let at = (head * params.capacity + number) * STRIDE;
  let column = kept + number;
  let first = select(0u, place - params.context_count, own);
  ${banded ? "let position = positions[params.slot_positions + number];" : ""}`
  }
  if (column >= params.columns) { return; }
  let key_scale = ${keys.scale("at")};
  var key: array<V, UNITS>;
  for (var i = 0u; i < UNITS; i++) { key[i] = ${keys.read("at", "i")} * key_scale; }
  ${columns.map((_, i) => `var total${i} = 0.0;`).join("\n  ")}
  for (var g = 0u; g < per_group; g++) {
    let query_head = head * per_group + g;
    ${bands > 0 ? `var sums = array<f32, ${bands}>();` : ""}
    for (var row = first; row < params.rows; row++) {
      let mask = data[${windows}u + row];
      if (mask == 0u) { continue; }
      ${
        !windowed
          ? ""
          : source === "slab"
            ? "if (params.position + row - position >= params.window) { continue; }"
            : "if (params.own_start + row - number >= params.window) { continue; }"
      }
      let query = ((params.qkv_row + row) * (params.query_heads + 2u * params.kv_heads) + query_head) * UNITS;
      var products = V();
      for (var i = 0u; i < UNITS; i++) { products += qkv[query + i] * params.scale * key[i]; }
      let weight = exp(${softCapped(capped, "dot(products, V(1.0))")} - log_sums[row * params.query_heads + query_head]);
      ${
        bands === 0
          ? ""
          : banded
            ? `if ((mask & 1u) != 0u) {
        let distance = positions[params.row_positions + row] - position;
        var band = 0u;
        while (band < ${bands - 1}u && distance >= data[band]) { band++; }
        sums[band] += weight;
      }`
            : "if ((mask & 1u) != 0u) { sums[0] += weight; }"
      }
      ${columns
        .map((reduce, i) => {
          const put = putWeight(reduce, `total${i}`);
          return `if ((mask & ${1 << (tables + i)}u) != 0u) { ${put} }`;
        })
        .join("\n      ")}
    }
    ${
      bands > 0
        ? `let cell = (query_head * params.room0 + column) * ${bands}u;
    for (var band = 0u; band < ${bands}u; band++) { mass_table[cell + band] += sums[band]; }`
        : ""
    }
  }
  ${columns
    .map((reduce, i) => {
      const cell = `column${i}[head * params.room${tables + i} + column]`;
      if (into === "set") return `${cell} = total${i};`;
      return reduce === "max" ? `${cell} = max(${cell}, total${i});` : `${cell} += total${i};`;
    })
    .join("\n  ")}
}
`;
}

function putWeight(reduce: ColumnReduce, total: string): string {
  switch (reduce) {
    case "sum":
      return `${total} += weight;`;
    case "max":
      return `${total} = max(${total}, weight);`;
    case "count":
      return `if (weight * f32(positions[params.row_positions + row] + 1u) > ${PIVOTAL_MARGIN}) { ${total} += 1.0; }`;
  }
}
