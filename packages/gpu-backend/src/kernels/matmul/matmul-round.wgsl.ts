import type { StorageVariable } from "../../dispatch/kernel";
import { paramBlock } from "../../dispatch/params";
import type { FloatStorage } from "../../wgsl/elements";
import { vectorReader } from "../../wgsl/elements";
import { reductionParameters, workgroupReduction } from "../../wgsl/reduction";

/** Elements of x that are rounded with one scale. */
export const ROUND_BLOCK = 32;

/** The greatest magnitude of a rounded element. */
const MOST = 127;

export interface MatmulRoundVariant {
  /** How the norm's weight is stored; null where rows are not normed. */
  readonly norm: FloatStorage | null;
  /** Whether the device has subgroups, of whatever size. */
  readonly subgroups: boolean;
  readonly threads: number;
}

export const ROUND_PARAMS = paramBlock({
  // Vectors of four in a row, and before the first row.
  units: "u32",
  first_x: "u32",
  epsilon: "f32",
});

export function roundStorage({ norm }: MatmulRoundVariant): Readonly<Record<string, StorageVariable>> {
  return {
    x: { access: "read", type: "array<vec4f>" },
    ...(norm === null ? {} : { gain: { access: "read", type: vectorReader("gain", norm).type } as const }),
    bytes: { access: "write", type: "array<u32>" },
    scales: { access: "write", type: "array<f32>" },
  };
}

/**
 * Rows of x, normed or as they are, rounded to eight bits, 32 of them at a time with one scale, as llama.cpp does
 * (`quantize_row_q8_0`) but for the scale, which stays an f32. A workgroup takes a row. Magnitudes are compared as words: so
 * one that is not a number is the greatest of all, and the block's scale is none either.
 */
export function matmulRoundWgsl({ norm, subgroups, threads }: MatmulRoundVariant): string {
  const gain = norm === null ? null : vectorReader("gain", norm);
  const squares = norm === null ? null : workgroupReduction({ operation: "sum", workgroupSize: threads, subgroups });
  const units = ROUND_BLOCK / 4;
  const value = `x[at + unit]${gain === null ? "" : ` * scale_of_row * ${gain.read("unit")}`}`;
  return `
const THREADS = ${threads}u;
${gain?.declarations ?? ""}
${squares?.declarations ?? ""}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, ${reductionParameters(subgroups && norm !== null)}) {
  let row = group.x;
  let at = params.first_x + row * params.units;
  ${
    squares === null
      ? ""
      : `var squares = 0.0;
  for (var unit = local; unit < params.units; unit += THREADS) { squares += dot(x[at + unit], x[at + unit]); }
  let scale_of_row = inverseSqrt(${squares.call("squares")} / f32(4u * params.units) + params.epsilon);`
  }
  for (var block = local; block < params.units / ${units}u; block += THREADS) {
    var values: array<vec4f, ${units}>;
    var greatest = 0u;
    for (var i = 0u; i < ${units}u; i++) {
      let unit = block * ${units}u + i;
      let value = ${value};
      values[i] = value;
      let words = bitcast<vec4u>(value) & vec4u(0x7fffffffu);
      greatest = max(greatest, max(max(words.x, words.y), max(words.z, words.w)));
    }
    let finite = greatest < 0x7f800000u;
    let scale = select(0.0, bitcast<f32>(greatest) / ${MOST}.0, finite);
    // Below the least normal number its inverse would be none: such a block is zeros.
    let counts = scale >= 0x1p-126f;
    let inverse = select(0.0, 1.0 / scale, counts);
    for (var i = 0u; i < ${units}u; i++) {
      let whole = select(vec4i(), vec4i(round(values[i] * inverse)), vec4<bool>(finite));
      bytes[row * params.units + block * ${units}u + i] = pack4xI8(clamp(whole, vec4i(-${MOST}), vec4i(${MOST})));
    }
    let of_block = select(select(0.0, scale, counts), bitcast<f32>(0x7fc00000u | (greatest & 0x80000000u)), !finite);
    scales[row * (params.units / ${units}u) + block] = of_block;
  }
}
`;
}
