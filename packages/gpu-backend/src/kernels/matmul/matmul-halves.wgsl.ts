import type { StorageVariable } from "../../dispatch/kernel";
import { paramBlock } from "../../dispatch/params";
import { vectorReader, type FloatStorage } from "../../wgsl/elements";
import { ROUNDED_TO_HALF } from "../../wgsl/halves";
import { reductionParameters, workgroupReduction } from "../../wgsl/reduction";
import { FLAT_WORKGROUP } from "../../wgsl/workgroup";

/** The exponent that a row's greatest magnitude gets: halves reach to just below 2^16. */
const EXPONENT = 14;
/** Of f32's stored exponents. */
const BIAS = 127;
/** The stored exponent of what is no number or infinite. */
const NOT_FINITE = 255;

export interface MatmulHalvesVariant {
  /** How the norm's weight is stored; null where rows are not normed. */
  readonly norm: FloatStorage | null;
  /** Whether rows get a second half for each element: what the first leaves of it. */
  readonly split: boolean;
  /** Inputs that rows are filled up with zeros to a multiple of. */
  readonly depth: number;
  /** Whether the device has subgroups, of whatever size. */
  readonly subgroups: boolean;
  readonly threads: number;
}

export const HALVES_PARAMS = paramBlock({
  rows: "u32",
  // Vectors of four in a row, and before the first row.
  units: "u32",
  first_x: "u32",
  epsilon: "f32",
});

export function halvesStorage({ norm }: MatmulHalvesVariant): Readonly<Record<string, StorageVariable>> {
  return {
    x: { access: "read", type: "array<vec4f>" },
    ...(norm === null ? {} : { gain: { access: "read", type: vectorReader("gain", norm).type } as const }),
    halves: { access: "write", type: "array<vec4<f16>>" },
    // Words, so that what is no number can be written.
    scales: { access: "write", type: "array<u32>" },
  };
}

/**
 * Rows of x, normed or as they are, as halves: times a power of two, which rounds nothing, so that the row's greatest
 * magnitude is from 2^14 to 2^15, and none overflows. `scales` has the inverse. With `split`, a row's halves are followed by
 * as many that say what each left of its element. A half has 11 bits, so that both together are within 2^-22 of it, or, as halves
 * count in steps of 2^-24 at least, within 2^-39 of the row's greatest: Ootomo and Yokota, "Recovering single precision accuracy
 * from Tensor Cores while surpassing the FP32 theoretical peak performance" (2022), after Markidis et al. (2018).
 *
 * A workgroup takes a row. One that is not finite is zeros and has a scale that is no number.
 */
export function matmulHalvesWgsl({ norm, split, depth, subgroups, threads }: MatmulHalvesVariant): string {
  const gain = norm === null ? null : vectorReader("gain", norm);
  const of = { workgroupSize: threads, subgroups } as const;
  const squares = norm === null ? null : workgroupReduction({ operation: "sum", ...of });
  const greatest = workgroupReduction({ operation: "max", ...of });
  return `
const THREADS = ${threads}u;
// Vectors of four that rows are filled up to a multiple of.
const STEP = ${depth / 4}u;
${FLAT_WORKGROUP}
${split ? ROUNDED_TO_HALF : ""}
${gain?.declarations ?? ""}
${squares?.declarations ?? ""}
${greatest.declarations}

fn load_x(at: u32, unit: u32, scale_of_row: f32) -> vec4f {
  return x[at + unit]${gain === null ? "" : ` * scale_of_row * ${gain.read("unit")}`};
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, ${reductionParameters(subgroups)}) {
  let row = flat_workgroup(group, groups);
  if (row >= params.rows) { return; }
  let at = params.first_x + row * params.units;
  var scale_of_row = 1.0;
  ${
    squares === null
      ? ""
      : `var squares = 0.0;
  for (var unit = local; unit < params.units; unit += THREADS) { squares += dot(x[at + unit], x[at + unit]); }
  scale_of_row = inverseSqrt(${squares.call("squares")} / f32(4u * params.units) + params.epsilon);`
  }
  // Magnitudes are compared as words, where what is no number is the greatest of all.
  var words = vec4u();
  for (var unit = local; unit < params.units; unit += THREADS) {
    words = max(words, bitcast<vec4u>(load_x(at, unit, scale_of_row)) & vec4u(0x7fffffffu));
  }
  let word = max(max(words.x, words.y), max(words.z, words.w));
  let exponent = u32(${greatest.call("f32(word >> 23u)")});
  let finite = exponent < ${NOT_FINITE}u;
  // Of a row of tiny numbers the inverse has to be a normal number too.
  let factor = select(min(${EXPONENT + 2 * BIAS}u - exponent, ${2 * BIAS - 1}u), 0u, !finite);
  let scale = bitcast<f32>(factor << 23u);
  let padded = (params.units + STEP - 1u) / STEP * STEP;
  let to = row * padded${split ? " * 2u" : ""};
  for (var unit = local; unit < padded; unit += THREADS) {
    var value = vec4f();
    if (finite && unit < params.units) { value = load_x(at, unit, scale_of_row) * scale; }
    ${
      split
        ? `let high = rounded_to_half(value);
    halves[to + unit] = vec4<f16>(high);
    halves[to + padded + unit] = vec4<f16>(value - high);`
        : "halves[to + unit] = vec4<f16>(value);"
    }
  }
  if (local == 0u) { scales[row] = select(0x7fc00000u, (${2 * BIAS}u - factor) << 23u, finite); }
}
`;
}
