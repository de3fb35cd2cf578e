import type { QuantisedType } from "@winnow/core-tensor";

import type { StorageVariable } from "../../dispatch/kernel";
import { ROUNDED_TO_HALF } from "../../wgsl/halves";
import { finishWgsl, matmulStorage, partsOf, weightsWgsl, type MatmulForm } from "./matmul-form.wgsl";
import {
  matrixColumns,
  matrixPitch,
  matrixRows,
  matrixSums,
  matrixThreads,
  type MatrixTile,
  type TileContents,
} from "./matrix-tile";

/**
 * Weights whose elements halves can hold: f32 and bf16 reach to 2^128, and halves only to 2^16. A quantised one could be greater,
 * as its scale alone is a half, but that is 65,520 or more, which no model has: it would become an infinity.
 */
export type HalfWeight = "f16" | QuantisedType;

/** A form that matrices of halves can multiply; its rows divide into vectors of four. */
export type MatrixForm = MatmulForm & { readonly weight: HalfWeight; readonly aligned: true };

export interface MatmulMatrixVariant {
  readonly form: MatrixForm;
  readonly tile: MatrixTile;
  /** Whether an element is the sum of two halves, so that no bit that counts is lost; else it is rounded to one. */
  readonly split: boolean;
}

/** What the kernel has in workgroup memory. A weight that is a half needs no second one. */
export function matrixContents({ form, split }: Pick<MatmulMatrixVariant, "form" | "split">): TileContents {
  return { parts: partsOf(form).length, halves: split && form.weight !== "f16" ? 2 : 1 };
}

/** What the kernel binds: rows of `matmul.halves` and their scales in place of x. */
export function matrixStorage(form: MatrixForm): Readonly<Record<string, StorageVariable>> {
  return {
    ...matmulStorage(form, null),
    x: { access: "read", type: "array<f16>" },
    scales: { access: "read", type: "array<f32>" },
  };
}

/**
 * The product of many rows by subgroup matrices of halves, whose sums are f32. A workgroup walks along its rows: it puts the
 * weight's elements into its own memory as halves, and each subgroup loads them and x, which `matmul.halves` has prepared, and
 * multiplies.
 *
 * With `split`, x is xh + xl and a weight wh + wl, each xl and wl what a half left, and the product xh·wh + xl·wh + xh·wl. Three
 * times 2^-22 of a term may be lost (of x, of the weight, and xl·wl), which is less than f32 sums of a dozen terms may round. A
 * quantised weight is a multiple of 2^-24, as its scales are halves and all else in it is whole; so is what a half leaves of it,
 * and halves below the normal ones lose nothing. Products of two halves are exact in f32. In what order a matrix is summed up,
 * and whether sums are rounded or cut off, is the hardware's affair.
 *
 * With a gate, the first half of a subgroup's columns are gates and the second what they gate, so that it has both of an output.
 */
export function matmulMatrixWgsl({ form, tile, split }: MatmulMatrixVariant): string {
  const { M, N, K, lanes, across, tall, wide, depth } = tile;
  const { parts, halves } = matrixContents({ form, split });
  const list = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));
  const columns = matrixColumns(tile);
  const pitch = matrixPitch(tile);
  // Matrices are variables and not an array, as the sums of `matmul.tile` are.
  const sum = (i: number, j: number): string => `sum_${i}_${j}`;
  const names = halves === 2 ? ["high", "low"] : ["high"];
  const left = (name: string, i: number): string =>
    `let x_${name}_${i} = subgroupMatrixLoad<subgroup_matrix_left<f16, ${K}, ${M}>, row_major>(&x, at_x + ${i * M}u * stride${name === "low" ? " + padded" : ""}, stride);`;
  const right = (name: string, j: number): string =>
    `let w_${name}_${j} = subgroupMatrixLoad<subgroup_matrix_right<f16, ${N}, ${K}>, col_major>(&tile_${name}, at_weight + ${j * N * pitch}u, PITCH);`;
  const products = (i: number, x: string, w: string): string =>
    list(wide, (j) => `${sum(i, j)} = subgroupMatrixMultiplyAccumulate(x_${x}_${i}, w_${w}_${j}, ${sum(i, j)});`).join(
      " ",
    );
  const store = (i: number, j: number, part: number): string =>
    `subgroupMatrixStore<row_major>(&sums, subgroup * SUMS + ${part * M * N}u, ${sum(i, j)}, ${N}u);`;
  const outputsWide = wide / parts;
  return `
const LANES = ${lanes}u;
const THREADS = ${matrixThreads(tile)}u;
const COLUMNS = ${columns}u;
const OUTPUTS = ${columns / parts}u;
// Columns of a subgroup, and outputs of them.
const SUBGROUP_COLUMNS = ${wide * N}u;
const SUBGROUP_OUTPUTS = ${outputsWide * N}u;
// Inputs of a step, and vectors of four.
const DEPTH = ${depth}u;
const UNITS = ${depth / 4}u;
const PITCH = ${pitch}u;
// Sums that a subgroup has in workgroup memory at a time.
const SUMS = ${parts * M * N}u;
${halves === 2 ? ROUNDED_TO_HALF : ""}
${weightsWgsl(form)}
${finishWgsl(form)}
${names.map((name) => `var<workgroup> tile_${name}: array<f16, ${columns * pitch}>;`).join("\n")}
var<workgroup> sums: array<f32, ${matrixSums(tile, parts)}>;

/// Four elements of a column of the tile, 0 where there are none.
fn load_column(first: u32, column: u32, unit: u32) -> vec4f {
  let within = column % SUBGROUP_COLUMNS;
  let output = first + column / SUBGROUP_COLUMNS * SUBGROUP_OUTPUTS + within % SUBGROUP_OUTPUTS;
  if (unit >= params.units || output >= params.outputs) { return vec4f(); }
  ${parts === 2 ? "if (within >= SUBGROUP_OUTPUTS) { return load_up(output, unit); }" : ""}
  return load_weight(output, unit);
}

/// Outputs of the matrix that a subgroup has stored, from a row and an output on.
fn finish_matrix(first_row: u32, first: u32, subgroup: u32, lane: u32) {
  for (var i = lane; i < ${M * N}u; i += LANES) {
    let row = first_row + i / ${N}u;
    let output = first + i % ${N}u;
    if (row < params.rows && output < params.outputs) {
      let at = subgroup * SUMS + i;
      let scale = scales[row];
      finish(row, output, sums[at] * scale${parts === 2 ? `, sums[at + ${M * N}u] * scale` : ""});
    }
  }
}

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) thread: u32,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let of_row = group.x * ${matrixRows(tile)}u + subgroup / ${across}u * ${tall * M}u;
  let first = group.y * OUTPUTS;
  // Halves of a row of x: with two for an element, all of the first and then all of the second.
  let padded = (params.units + UNITS - 1u) / UNITS * DEPTH;
  let stride = padded${split ? " * 2u" : ""};
  ${list(tall, (i) => list(wide, (j) => `var ${sum(i, j)} = subgroup_matrix_result<f32, ${N}, ${M}>();`).join(" ")).join("\n  ")}
  for (var start = 0u; start < params.units; start += UNITS) {
    for (var i = thread; i < COLUMNS * UNITS; i += THREADS) {
      let value = load_column(first, i / UNITS, start + i % UNITS);
      let at = i / UNITS * PITCH + i % UNITS * 4u;
      ${
        halves === 2
          ? `let rounded = rounded_to_half(value); let high = vec4<f16>(rounded); let low = vec4<f16>(value - rounded);`
          : "let high = vec4<f16>(value);"
      }
      ${names.flatMap((name) => list(4, (lane) => `tile_${name}[at + ${lane}u] = ${name}[${lane}];`)).join(" ")}
    }
    workgroupBarrier();
    for (var k = 0u; k < DEPTH; k += ${K}u) {
      let at_x = of_row * stride + start * 4u + k;
      let at_weight = subgroup % ${across}u * ${wide * N * pitch}u + k;
      ${names.map((name) => list(wide, (j) => right(name, j)).join("\n      ")).join("\n      ")}
      ${list(tall, (i) =>
        [
          left("high", i),
          split ? left("low", i) : "",
          products(i, "high", "high"),
          split ? products(i, "low", "high") : "",
          halves === 2 ? products(i, "high", "low") : "",
        ]
          .filter((line) => line !== "")
          .join("\n      "),
      ).join("\n      ")}
    }
    workgroupBarrier();
  }
  let of_output = first + subgroup % ${across}u * SUBGROUP_OUTPUTS;
  ${list(tall, (i) =>
    list(
      outputsWide,
      (j) => `${list(parts, (part) => store(i, j + part * outputsWide, part)).join(" ")}
  workgroupBarrier();
  finish_matrix(of_row + ${i * M}u, of_output + ${j * N}u, subgroup, lane);
  workgroupBarrier();`,
    ).join("\n  "),
  ).join("\n  ")}
}
`;
}
