/** How a workgroup's threads bring the sums of a few rows together. */
export interface SumsForm {
  /** Weight rows of an output: one, or two with a gate. */
  readonly parts: number;
  /** Whether the device has subgroups, of whatever size. */
  readonly subgroups: boolean;
  /** Rows of x that the kernel has room for, outputs of a workgroup and its threads: powers of two. */
  readonly rows: number;
  readonly outputs: number;
  readonly threads: number;
}

/** The smallest subgroup that WebGPU allows. */
const LEAST_LANES = 4;

/** Bytes of workgroup memory that it takes. */
export function sumsBytes({ parts, subgroups, rows, outputs, threads }: SumsForm): number {
  const sums = outputs * parts;
  return 4 * (subgroups ? (rows * sums * threads) / LEAST_LANES : sums * threads);
}

/** The variable of a thread's sum for a row of x and a row of the weight; the rows of a part follow those of the one before. */
export function sumName(row: number, number: number): string {
  return `sum_${row}_${number}`;
}

/**
 * Constants, workgroup variables and functions that {@link finishSums} needs. `THREADS`, `OUTPUTS` and `SUMS`, the sums of a
 * row of x, are the constants.
 */
export function sumsWgsl({ parts, subgroups, rows, outputs, threads }: SumsForm): string {
  const sums = outputs * parts;
  return `
const THREADS = ${threads}u;
const OUTPUTS = ${outputs}u;
// Sums of a row of x: one a row of the weight.
const SUMS = ${sums}u;
${subgroups ? partsOfSubgroups((rows * sums * threads) / LEAST_LANES) : tree(sums * threads)}`;
}

/**
 * Statements that add up the threads' variables of {@link sumName}, in an order that does not depend on how many rows there
 * are, and call `finish` for each output. `first` is the workgroup's first output and `thread` the thread.
 */
export function finishSums({ parts, subgroups, rows, outputs, threads }: SumsForm): string {
  const list = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));
  const sumsOfRow = (row: number): string[] => list(outputs * parts, (number) => sumName(row, number));
  const totals = (of: (number: string) => string): string =>
    list(parts, (i) => of(i === 0 ? "output" : `output + ${i}u * OUTPUTS`)).join(", ");
  if (subgroups) {
    return `
  ${list(rows, (row) =>
    sumsOfRow(row)
      .map((name, number) => `put(${row}u * SUMS + ${number}u, subgroupAdd(${name}), local, lane, lanes);`)
      .join(" "),
  ).join("\n  ")}
  workgroupBarrier();
  for (var i = thread; i < ${rows}u * OUTPUTS; i += THREADS) {
    let row = i / OUTPUTS;
    let output = i % OUTPUTS;
    if (row < params.rows && first + output < params.outputs) {
      finish(row, first + output, ${totals((number) => `total(row * SUMS + ${number}, lanes)`)});
    }
  }`;
  }
  return list(
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
