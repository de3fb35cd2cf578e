import { scalarReader, vectorReader, type FloatReader, type FloatStorage } from "../../wgsl/elements";
import { workgroupReduction } from "../../wgsl/reduction";
import { FLAT_WORKGROUP } from "../../wgsl/workgroup";

export interface RmsNormVariant {
  /** Elements that an invocation handles at a time. */
  readonly vector: 1 | 4;
  readonly weight: FloatStorage;
  /** Whether x is written over: one buffer cannot be bound to read and to write at once. */
  readonly inPlace: boolean;
  /** Where what is added lies: `out` is its own tensor, which can be bound only once. */
  readonly residual: "none" | "other" | "out";
  /** A power of two. */
  readonly workgroupSize: number;
  readonly subgroups: boolean;
}

export function weightReader({ vector, weight }: RmsNormVariant): FloatReader {
  return vector === 4 ? vectorReader("weight", weight) : scalarReader("weight", weight);
}

/** A workgroup a run: it adds up squares, each invocation every so-manieth, and goes over the run again to scale it. */
export function rmsNormWgsl(variant: RmsNormVariant): string {
  const { vector, inPlace, residual, workgroupSize, subgroups } = variant;
  const weight = weightReader(variant);
  const sum = workgroupReduction({ operation: "sum", workgroupSize, subgroups });
  const x = inPlace ? "out" : "x";
  const square = vector === 4 ? "dot(value, value)" : "value * value";
  return `${FLAT_WORKGROUP}

${weight.declarations}
${sum.declarations}

@compute @workgroup_size(${workgroupSize})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, ${sum.parameters}) {
  let run = flat_workgroup(group, groups);
  if (run >= params.runs) { return; }
  // Of the run among those of its row, and of its row.
  let number = run % params.per_row;
  let start = run / params.per_row * params.stride + number * params.width;
  let source = params.x_first + start;
  let place = params.out_first + start;
  var squares = 0.0;
  for (var i = local; i < params.width; i += ${workgroupSize}u) {
    let value = ${x}[source + i];
    squares += ${square};
  }
  let mean = ${sum.call("squares")} / f32(params.width * ${vector}u);
  let scale = inverseSqrt(mean + params.epsilon);
  for (var i = local; i < params.width; i += ${workgroupSize}u) {
    let value = ${x}[source + i] * scale * ${weight.read("number * params.step + i")};
    out[place + i] = value${residual === "none" ? "" : ` + ${residual === "out" ? "out" : "residual"}[params.residual_first + start + i]`};
  }
}`;
}
