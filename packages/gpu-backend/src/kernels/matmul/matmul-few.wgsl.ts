import { reductionParameters, workgroupReduction } from "../../wgsl/reduction";
import { FLAT_WORKGROUP } from "../../wgsl/workgroup";
import { gainWgsl, matmulFormWgsl, partsOf, type MatmulForm, type NormForm } from "./matmul-form.wgsl";

export interface MatmulFewVariant {
  readonly form: MatmulForm;
  readonly norm: NormForm;
  /** Whether the device has subgroups, of whatever size. */
  readonly subgroups: boolean;
  /** Rows of x that the kernel has room for, outputs of a workgroup and its threads: powers of two. */
  readonly rows: number;
  readonly outputs: number;
  readonly threads: number;
}

/** The smallest subgroup that WebGPU allows. */
const LEAST_LANES = 4;

/** Bytes of workgroup memory that the kernel takes. */
export function fewBytes({ form, norm, subgroups, rows, outputs, threads }: MatmulFewVariant): number {
  const sums = outputs * partsOf(form).length;
  const words = subgroups ? (rows * sums * threads) / LEAST_LANES : sums * threads;
  return 4 * (words + (norm === null ? 0 : threads));
}

/**
 * The product of a few rows: a workgroup reads the weight's rows of a few outputs once, for all rows of x, its threads side
 * by side along the rows; then it adds up what each thread found, in an order that does not depend on how many rows there
 * are. A norm's scale is one number a row, so the squares are added up on the way and the sums scaled at the end.
 */
export function matmulFewWgsl({ form, norm, subgroups, rows, outputs, threads }: MatmulFewVariant): string {
  const parts = partsOf(form);
  const list = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));
  // Sums are variables and not an array: arrays that are indexed may end up outside the registers.
  const weightRows = parts.flatMap((part, p) => list(outputs, (o) => ({ part, o, number: p * outputs + o })));
  const sum = (row: number, number: number): string => `sum_${row}_${number}`;
  const sums = list(rows, (row) => weightRows.map(({ number }) => sum(row, number))).flat();
  const xRow = (row: number): string => (row === 0 ? "0u" : `min(${row}u, params.rows - 1u)`);
  const squares = norm === null ? null : workgroupReduction({ operation: "sum", workgroupSize: threads, subgroups });
  const sumsOfRow = (row: number): string[] => weightRows.map(({ number }) => sum(row, number));
  const totals = (of: (number: string) => string): string =>
    parts.map((_, i) => of(i === 0 ? "output" : `output + ${i}u * OUTPUTS`)).join(", ");
  const bySubgroups = `
  ${list(rows, (row) =>
    sumsOfRow(row)
      .map((name, number) => `put(${row}u * SUMS + ${number}u, subgroupAdd(${name}), local, lane, lanes);`)
      .join(" "),
  ).join("\n  ")}
  workgroupBarrier();
  let row = thread / OUTPUTS;
  let output = thread % OUTPUTS;
  if (row >= min(params.rows, ${rows}u) || first + output >= params.outputs) { return; }
  finish(row, first + output, ${totals((number) => `total(row * SUMS + ${number}, lanes)`)});`;
  const byTree = list(
    rows,
    (row) => `
  ${row === 0 ? "" : "workgroupBarrier();"}
  ${sumsOfRow(row)
    .map((name, number) => `partials[${number * threads}u + thread] = ${name};`)
    .join("\n  ")}
  add_up(thread);
  if (${row}u < params.rows && thread < OUTPUTS && first + thread < params.outputs) {
    let output = thread;
    finish(${row}u, first + output, ${totals((number) => `partials[(${number}) * THREADS]`)});
  }`,
  ).join("\n");
  return `
${FLAT_WORKGROUP}

const THREADS = ${threads}u;
const OUTPUTS = ${outputs}u;
// Sums of a row of x: one a row of the weight.
const SUMS = ${weightRows.length}u;
${matmulFormWgsl(form)}
${norm === null ? "" : gainWgsl(form, norm)}
${squares?.declarations ?? ""}
${subgroups ? partsOfSubgroups((rows * weightRows.length * threads) / LEAST_LANES) : tree(weightRows.length * threads)}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, ${reductionParameters(subgroups)}) {
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
          return `${scale} ${sumsOfRow(row)
            .map((name) => `${name} *= scale_${row};`)
            .join(" ")}`;
        }).join("\n  ")
  }
  ${subgroups ? bySubgroups : byTree}
}
`;
}

/** A subgroup's sums, side by side by number. */
function partsOfSubgroups(words: number): string {
  return `var<workgroup> partials: array<f32, ${words}>;

fn put(number: u32, part: f32, local: u32, lane: u32, lanes: u32) {
  if (lane == 0u) { partials[number * (THREADS / ${LEAST_LANES}u) + local / lanes] = part; }
}

fn total(number: u32, lanes: u32) -> f32 {
  var value = 0.0;
  for (var i = 0u; i < (THREADS + lanes - 1u) / lanes; i++) { value += partials[number * (THREADS / ${LEAST_LANES}u) + i]; }
  return value;
}`;
}

/** Sums of one row, by number and then thread; afterwards each number's first is its total. */
function tree(words: number): string {
  return `var<workgroup> partials: array<f32, ${words}>;

fn add_up(thread: u32) {
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    for (var i = thread; i < half * SUMS; i += THREADS) {
      let at = i / half * THREADS + i % half;
      partials[at] += partials[at + half];
    }
  }
  workgroupBarrier();
}`;
}
