import { quantisedRow, SUPER_GROUP, type QuantisedType } from "@winnow/core-tensor";

import type { StorageVariable } from "../../dispatch/kernel";
import { hasOffset, scaleWgsl } from "../../wgsl/quantised";
import { BYTES_CHUNK, bytesWgsl, groupOfChunk, zeroOf } from "../../wgsl/quantised-bytes";
import { reductionParameters } from "../../wgsl/reduction";
import { FLAT_WORKGROUP } from "../../wgsl/workgroup";
import { finishWgsl, matmulStorage, partsOf, type MatmulForm } from "./matmul-form.wgsl";
import { ROUND_BLOCK } from "./matmul-round.wgsl";
import { finishSums, sumName, sumsBytes, sumsWgsl, type SumsForm } from "./matmul-sums.wgsl";

/** A form whose weight is quantised. */
export type QuantisedForm = MatmulForm & { readonly weight: QuantisedType };

export interface MatmulDotVariant {
  readonly form: QuantisedForm;
  /** Whether the device has subgroups, of whatever size. */
  readonly subgroups: boolean;
  /** Rows of x that the kernel has room for, outputs of a workgroup and its threads: powers of two. */
  readonly rows: number;
  readonly outputs: number;
  readonly threads: number;
}

/** Bytes of workgroup memory that the kernel takes. */
export function dotBytes(variant: MatmulDotVariant): number {
  return sumsBytes(sumsOf(variant));
}

function sumsOf({ form, subgroups, rows, outputs, threads }: MatmulDotVariant): SumsForm {
  return { parts: partsOf(form).length, subgroups, rows, outputs, threads };
}

/** What the kernel binds: rounded rows and their scales in place of x. */
export function dotStorage(form: QuantisedForm): Readonly<Record<string, StorageVariable>> {
  return {
    ...matmulStorage(form, null),
    x: { access: "read", type: "array<vec4u>" },
    scales: { access: "read", type: "array<f32>" },
  };
}

/**
 * The product of a few rounded rows with quantised weights, in whole numbers: 16 elements at a time, whose sum is exact, and
 * then multiplied by the scales of both. Workgroups and their sums are those of `matmul.few`.
 */
export function matmulDotWgsl(variant: MatmulDotVariant): string {
  const { form, subgroups, rows, outputs } = variant;
  const parts = partsOf(form);
  const type = form.weight;
  const offset = hasOffset(quantisedRow(type, SUPER_GROUP).scale);
  const zero = zeroOf(type);
  const list = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));
  const weightRows = parts.flatMap((part, p) => list(outputs, (o) => ({ part, o, number: p * outputs + o })));
  const xRow = (row: number): string => (row === 0 ? "0u" : `min(${row}u, params.rows - 1u)`);
  const product = (row: number): string => {
    const whole = `dot_chunk(w, x_${row})${zero === 0 ? "" : ` - ${zero} * total_${row}`}`;
    return offset
      ? `(scale.x * f32(${whole}) + scale.y * f32(total_${row})) * scale_${row}`
      : `scale * f32(${whole}) * scale_${row}`;
  };
  return `
${FLAT_WORKGROUP}

${sumsWgsl(sumsOf(variant))}
${finishWgsl(form)}
${parts.map((part) => `${scaleWgsl(part, type)}\n${bytesWgsl(part, type)}`).join("\n")}

/// The sum of the products of 16 signed bytes.
fn dot_chunk(a: vec4u, b: vec4u) -> i32 {
  return dot4I8Packed(a.x, b.x) + dot4I8Packed(a.y, b.y) + dot4I8Packed(a.z, b.z) + dot4I8Packed(a.w, b.w);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, ${reductionParameters(subgroups)}) {
  let thread = local;
  let first = flat_workgroup(group, groups) * OUTPUTS;
  if (first >= params.outputs) { return; }
  ${list(rows, (row) => weightRows.map(({ number }) => `var ${sumName(row, number)} = 0.0;`).join(" ")).join(" ")}
  let chunks = params.units / ${BYTES_CHUNK / 4}u;
  for (var chunk = thread; chunk < chunks; chunk += THREADS) {
    ${list(
      rows,
      (row) => `let x_${row} = x[${xRow(row)} * chunks + chunk];
    let scale_${row} = scales[(${xRow(row)} * chunks + chunk) / ${ROUND_BLOCK / BYTES_CHUNK}u];
    ${offset || zero !== 0 ? `let total_${row} = dot_chunk(vec4u(0x01010101u), x_${row});` : ""}`,
    ).join("\n    ")}
    ${weightRows
      .map(
        ({ part, o, number }) => `{
      let at = params.first_${part} + min(first + ${o}u, params.outputs - 1u) * params.row_words;
      let w = ${part}_bytes(at, chunk);
      let scale = ${part}_scale(at, ${groupOfChunk(type, "chunk")});
      ${list(rows, (row) => `${sumName(row, number)} += ${product(row)};`).join(" ")}
    }`,
      )
      .join("\n    ")}
  }
  ${finishSums(sumsOf(variant))}
}
`;
}
