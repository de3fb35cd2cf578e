import { matmulFormWgsl, type MatmulForm } from "./matmul-form.wgsl";

/** Rows and columns of a thread. */
const OF_THREAD = 4;

export interface MatmulTileVariant {
  readonly form: MatmulForm;
  /** Threads of a workgroup in either direction: its tile is four times as wide and high. */
  readonly side: 8 | 16;
  /** Vectors of four that a tile is deep. */
  readonly depth: 4 | 8;
}

/** Rows of a workgroup's tile, and the weight's rows in it. */
export function tileSide({ side }: MatmulTileVariant): number {
  return side * OF_THREAD;
}

/** Bytes of workgroup memory that the kernel takes. */
export function tileBytes(variant: MatmulTileVariant): number {
  return 2 * variant.depth * (tileSide(variant) + 2) * 16;
}

/**
 * The product of many rows: a workgroup walks along the rows of a tile of x and of the weight, which it has in its own
 * memory, and each thread has four by four sums in registers. With a gate, the first half of the tile's columns are
 * gates and the second what they gate, so that a thread has both of an output.
 */
export function matmulTileWgsl(variant: MatmulTileVariant): string {
  const { form, side, depth } = variant;
  const tile = tileSide(variant);
  const of = [0, 1, 2, 3] as const;
  // Sums are variables and not an array: arrays that are indexed may end up outside the registers.
  const sum = (i: number, j: number): string => `sum_${i}_${j}`;
  const outputs = form.gate !== null ? tile / 2 : tile;
  const columns = form.gate !== null ? of.slice(0, OF_THREAD / 2) : of;
  return `
const SIDE = ${side}u;
const TILE = ${tile}u;
const OUTPUTS = ${outputs}u;
const DEPTH = ${depth}u;
// Two vectors more than the tile has, so that threads that store side by side do not meet in one bank.
const PITCH = ${tile + 2}u;
${matmulFormWgsl(form)}
var<workgroup> tile_x: array<vec4f, ${depth * (tile + 2)}>;
var<workgroup> tile_weight: array<vec4f, ${depth * (tile + 2)}>;

@compute @workgroup_size(${side * side})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let first_row = group.x * TILE;
  let first = group.y * OUTPUTS;
  let of_row = thread / SIDE;
  let of_column = thread % SIDE;
  ${of.map((i) => of.map((j) => `var ${sum(i, j)} = 0.0;`).join(" ")).join("\n  ")}
  for (var start = 0u; start < params.units; start += DEPTH) {
    for (var i = thread; i < TILE * DEPTH; i += SIDE * SIDE) {
      let unit = start + i % DEPTH;
      let place = i / DEPTH;
      var of_x = vec4f();
      var of_weight = vec4f();
      if (unit < params.units) {
        let row = first_row + place;
        if (row < params.rows) { of_x = load_x(row, unit); }
        let output = first + place % OUTPUTS;
        if (output < params.outputs) {
          ${form.gate !== null ? `if (place < OUTPUTS) { of_weight = load_weight(output, unit); } else { of_weight = load_up(output, unit); }` : "of_weight = load_weight(output, unit);"}
        }
      }
      tile_x[i % DEPTH * PITCH + place] = of_x;
      tile_weight[i % DEPTH * PITCH + place] = of_weight;
    }
    workgroupBarrier();
    for (var k = 0u; k < DEPTH; k++) {
      ${of.map((i) => `let x_${i} = tile_x[k * PITCH + of_row + ${i}u * SIDE];`).join("\n      ")}
      ${of.map((j) => `let w_${j} = tile_weight[k * PITCH + of_column + ${j}u * SIDE];`).join("\n      ")}
      ${of.map((i) => of.map((j) => `${sum(i, j)} += dot(x_${i}, w_${j});`).join(" ")).join("\n      ")}
    }
    workgroupBarrier();
  }
  ${of
    .map(
      (i) => `if (first_row + of_row + ${i}u * SIDE < params.rows) {
    ${columns
      .map((j) => {
        const output = `first + of_column + ${j}u * SIDE`;
        const up = form.gate !== null ? `, ${sum(i, j + OF_THREAD / 2)}` : "";
        return `if (${output} < params.outputs) { finish(first_row + of_row + ${i}u * SIDE, ${output}, ${sum(i, j)}${up}); }`;
      })
      .join("\n    ")}
  }`,
    )
    .join("\n  ")}
}
`;
}
