import { WinnowError } from "@winnow/core-tensor";

import { defineFault } from "../../dispatch/fault";
import { defineKernel } from "../../dispatch/kernel";
import { paramBlock } from "../../dispatch/params";

/** Sums of a workgroup. */
export const SUMS_OUTPUTS = 64;
/** Threads that share one sum's columns. */
const PARTS = 4;
const TILE = 256;

/** Tells a class that is not there from a head with too many slots. */
const CLASS_FAULT = 2 ** 31;

const MISFIT = defineFault((value, bound) =>
  bound >= CLASS_FAULT
    ? new WinnowError("range", `summarise: a column has the class ${value}, expected one below ${bound - CLASS_FAULT}`)
    : new WinnowError("shape", `summarise: a head has ${value} slots, and the mass table ${bound} columns`),
);

export const SUMS_PARAMS = paramBlock({
  kv_heads: "u32",
  query_heads: "u32",
  capacity: "u32",
  table_columns: "u32",
  bands: "u32",
  // Sums of a query head.
  outputs: "u32",
  class_count: "u32",
  // Entries of classes from one head to the next: 0 where they share theirs.
  class_stride: "u32",
});

/**
 * Adds up the mass table by cell and band. Each thread walks over its part of the columns and adds those of its cell, so
 * that nothing is added atomically and the order of additions is always the same. A tile's sum is taken first: a cell may
 * have thousands of columns, and a sum of few sums loses less.
 */
export const SUMMARISE_SUMS = defineKernel({
  label: "summarise.sums",
  params: SUMS_PARAMS,
  storage: {
    slot_counts: { access: "read", type: "array<u32>" },
    classes: { access: "read", type: "array<u32>" },
    cells: { access: "read", type: "array<u32>" },
    masses: { access: "read", type: "array<f32>" },
    sums: { access: "write", type: "array<f32>" },
  },
  fault: MISFIT,
  code: `
const CLASS_FAULT = ${CLASS_FAULT}u;
const OUTPUTS = ${SUMS_OUTPUTS}u;
const PARTS = ${PARTS}u;
const TILE = ${TILE}u;
const PART = TILE / PARTS;
const NO_CELL = 0xffffffffu;

var<workgroup> tile: array<u32, TILE>;
var<workgroup> parts: array<f32, OUTPUTS * PARTS>;

@compute @workgroup_size(OUTPUTS * PARTS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let query_head = group.y;
  let head = query_head / (params.query_heads / params.kv_heads);
  let count = min(min(slot_counts[head], params.capacity), params.table_columns);
  if (thread == 0u && slot_counts[head] > params.table_columns) {
    report_fault(slot_counts[head], params.table_columns);
  }
  let output = group.x * OUTPUTS + thread % OUTPUTS;
  let cell = output / params.bands;
  let band = output % params.bands;
  let first = (thread / OUTPUTS) * PART;
  let first_cell = head * params.capacity;
  let first_mass = query_head * params.table_columns * params.bands + band;
  var sum = 0.0;
  for (var base = 0u; base < count; base += TILE) {
    workgroupBarrier();
    for (var i = thread; i < TILE; i += OUTPUTS * PARTS) {
      var of_column = NO_CELL;
      if (base + i < count) {
        of_column = cells[first_cell + base + i];
        if (of_column == NO_CELL) {
          report_fault(classes[head * params.class_stride + base + i], params.class_count | CLASS_FAULT);
        }
      }
      tile[i] = of_column;
    }
    workgroupBarrier();
    var sum_of_tile = 0.0;
    for (var i = first; i < first + PART; i++) {
      if (tile[i] == cell) { sum_of_tile += masses[first_mass + (base + i) * params.bands]; }
    }
    sum += sum_of_tile;
  }
  parts[thread] = sum;
  workgroupBarrier();
  if (thread < OUTPUTS && output < params.outputs) {
    var whole = parts[thread];
    for (var part = 1u; part < PARTS; part++) { whole += parts[part * OUTPUTS + thread]; }
    sums[query_head * params.outputs + output] = whole;
  }
}
`,
});
