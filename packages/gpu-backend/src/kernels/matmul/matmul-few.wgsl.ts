import { workgroupReduction } from "../../wgsl/reduction";
import { FLAT_WORKGROUP } from "../../wgsl/workgroup";
import { gainWgsl, matmulFormWgsl, partsOf, type MatmulForm, type NormForm } from "./matmul-form.wgsl";

export interface MatmulFewVariant {
  readonly form: MatmulForm;
  readonly norm: NormForm;
  readonly subgroups: boolean;
  /** Rows of x that the kernel has room for, outputs of a workgroup and its threads: powers of two. */
  readonly rows: number;
  readonly outputs: number;
  readonly threads: number;
}

/**
 * The product of a few rows: a workgroup reads the weight's rows of a few outputs once, for all rows of x, its threads side
 * by side along the rows; then it adds up what each thread found. A norm's scale is one number a row, so the squares are
 * added up on the way and the sums scaled at the end.
 */
export function matmulFewWgsl({ form, norm, subgroups, rows, outputs, threads }: MatmulFewVariant): string {
  const parts = partsOf(form);
  const list = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));
  // Sums are variables and not an array: arrays that are indexed may end up outside the registers.
  const weightRows = parts.flatMap((part, p) => list(outputs, (o) => ({ part, o, number: p * outputs + o })));
  const values = rows * weightRows.length;
  const sum = (row: number, number: number): string => `sum_${row}_${number}`;
  const sums = list(rows, (row) => weightRows.map(({ number }) => sum(row, number))).flat();
  const lanes = threads / values;
  const xRow = (row: number): string => (row === 0 ? "0u" : `min(${row}u, params.rows - 1u)`);
  const squares = norm === null ? null : workgroupReduction({ operation: "sum", workgroupSize: threads, subgroups });
  const parameters = squares?.parameters ?? "@builtin(local_invocation_index) local: u32";
  return `
${FLAT_WORKGROUP}

const THREADS = ${threads}u;
const OUTPUTS = ${outputs}u;
// Sums of a workgroup by row of x and then row of the weight, and threads that add up each.
const SUMS_OF_ROW = ${weightRows.length}u;
const SUMS = ${values}u;
const LANES = ${lanes}u;
${matmulFormWgsl(form)}
${norm === null ? "" : gainWgsl(form, norm)}
${squares?.declarations ?? ""}
var<workgroup> partials: array<f32, ${values * threads}>;

fn total(row: u32, number: u32) -> f32 {
  var value = 0.0;
  for (var lane = 0u; lane < LANES; lane++) { value += partials[(row * SUMS_OF_ROW + number) * THREADS + lane]; }
  return value;
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, ${parameters}) {
  let thread = local;
  let first = flat_workgroup(group, groups) * OUTPUTS;
  if (first >= params.outputs) { return; }
  ${sums.map((name) => `var ${name} = 0.0;`).join(" ")}
  ${squares === null ? "" : list(rows, (row) => `var squares_${row} = 0.0;`).join(" ")}
  for (var unit = thread; unit < params.units; unit += THREADS) {
    ${squares === null ? "" : "let gain = load_gain(unit);"}
    ${list(rows, (row) => {
      if (squares === null) return `let x_${row} = load_x(${xRow(row)}, unit);`;
      return `var x_${row} = load_x(${xRow(row)}, unit); squares_${row} += dot(x_${row}, x_${row}); x_${row} *= gain;`;
    }).join("\n    ")}
    var w: vec4f;
    ${weightRows
      .map(
        ({ part, o, number }) =>
          `w = load_${part}(min(first + ${o}u, params.outputs - 1u), unit);
    ${list(rows, (row) => `${sum(row, number)} += dot(x_${row}, w);`).join(" ")}`,
      )
      .join("\n    ")}
  }
  ${
    squares === null
      ? ""
      : list(rows, (row) => {
          const scale = `let scale_${row} = inverseSqrt(${squares.call(`squares_${row}`)} / f32(params.inputs) + params.epsilon);`;
          return `${scale} ${weightRows.map(({ number }) => `${sum(row, number)} *= scale_${row};`).join(" ")}`;
        }).join("\n  ")
  }
  ${sums.map((name, i) => `partials[${i * threads}u + thread] = ${name};`).join("\n  ")}
  workgroupBarrier();
  let base = thread / LANES * THREADS + thread % LANES;
  var value = 0.0;
  for (var i = 0u; i < SUMS; i++) { value += partials[base + i * LANES]; }
  // Only this thread read there.
  partials[base] = value;
  workgroupBarrier();
  let row = thread / OUTPUTS;
  let output = thread % OUTPUTS;
  if (row >= min(params.rows, ${rows}u) || first + output >= params.outputs) { return; }
  finish(row, first + output, ${parts.map((_, i) => `total(row, output + ${i}u * OUTPUTS)`).join(", ")});
}
`;
}
