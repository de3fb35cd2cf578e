import { reductionParameters, workgroupReduction } from "../../wgsl/reduction";
import { FLAT_WORKGROUP } from "../../wgsl/workgroup";
import { gainWgsl, matmulFormWgsl, partsOf, type MatmulForm, type NormForm } from "./matmul-form.wgsl";
import { finishSums, sumName, sumsBytes, sumsWgsl, type SumsForm } from "./matmul-sums.wgsl";

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

/** Bytes of workgroup memory that the kernel takes. */
export function fewBytes(variant: MatmulFewVariant): number {
  return sumsBytes(sumsOf(variant)) + (variant.norm === null ? 0 : 4 * variant.threads);
}

function sumsOf({ form, subgroups, rows, outputs, threads }: MatmulFewVariant): SumsForm {
  return { parts: partsOf(form).length, subgroups, rows, outputs, threads };
}

/**
 * The product of a few rows: a workgroup reads the weight's rows of a few outputs once, for all rows of x, its threads side
 * by side along the rows; then it adds up what each thread found, in an order that does not depend on how many rows there
 * are. A norm's scale is one number a row, so the squares are added up on the way and the sums scaled at the end.
 */
export function matmulFewWgsl(variant: MatmulFewVariant): string {
  const { form, norm, subgroups, rows, outputs, threads } = variant;
  const parts = partsOf(form);
  const list = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));
  // Sums are variables and not an array: arrays that are indexed may end up outside the registers.
  const weightRows = parts.flatMap((part, p) => list(outputs, (o) => ({ part, o, number: p * outputs + o })));
  const sums = list(rows, (row) => weightRows.map(({ number }) => sumName(row, number))).flat();
  const xRow = (row: number): string => (row === 0 ? "0u" : `min(${row}u, params.rows - 1u)`);
  const squares = norm === null ? null : workgroupReduction({ operation: "sum", workgroupSize: threads, subgroups });
  const sumsOfRow = (row: number): string[] => weightRows.map(({ number }) => sumName(row, number));
  return `
${FLAT_WORKGROUP}

${sumsWgsl(sumsOf(variant))}
${matmulFormWgsl(form)}
${norm === null ? "" : gainWgsl(form, norm)}
${squares?.declarations ?? ""}

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
    ${list(rows, (row) => `${sumName(row, number)} += dot(x_${row}, w);`).join(" ")}`,
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
  ${finishSums(sumsOf(variant))}
}
`;
}
