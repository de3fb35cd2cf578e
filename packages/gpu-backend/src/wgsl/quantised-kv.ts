import { QUANTISED_KV_FORMS, type QuantisedKvType } from "@winnow/core-tensor";

/** Threads that quantise a row together. */
export const QUANTISE_LANES = 8;

/** Threads of a workgroup that quantises rows. */
export const QUANTISE_THREADS = 64;

/** Rows that a workgroup quantises side by side. */
export const QUANTISE_ROWS = QUANTISE_THREADS / QUANTISE_LANES;

/** Fours of elements that share a word, and a scale; null where that is the whole row. */
interface Fours {
  readonly perWord: 1 | 2;
  readonly perScale: number | null;
}

export function foursOf(kvType: QuantisedKvType): Fours {
  const { group } = QUANTISED_KV_FORMS[kvType];
  return { perWord: kvType === "q8" ? 1 : 2, perScale: group === null ? null : group / 4 };
}

/** An expression: four whole numbers, as vec4f. */
export function unpackedFour(kvType: QuantisedKvType, word: string, four: string): string {
  return kvType === "q8"
    ? `vec4f(vec4i(vec4u(${word}) << vec4u(24u, 16u, 8u, 0u)) >> vec4u(24u))`
    : `vec4f(vec4i(vec4u(${word} >> ((${four}) % 2u * 16u)) << vec4u(28u, 24u, 20u, 16u)) >> vec4u(28u))`;
}

/**
 * Rows of a quantised cache, as `quantiseRows` of core-tensor makes them, in workgroups of `QUANTISE_THREADS`. Magnitudes are
 * compared as words: so one that is not a number is the greatest of all.
 */
export function quantiseWgsl(kvType: QuantisedKvType): string {
  const { bits, most } = QUANTISED_KV_FORMS[kvType];
  return `
const LANES = ${QUANTISE_LANES}u;
const ROWS = ${QUANTISE_ROWS}u;

var<workgroup> magnitudes: array<u32, ${QUANTISE_THREADS}>;

fn magnitude(values: vec4f) -> u32 {
  let words = bitcast<vec4u>(values) & vec4u(0x7fffffffu);
  return max(max(words.x, words.y), max(words.z, words.w));
}

/// The bits of a group's scale, from the greatest magnitude that each of its threads found. In uniform control flow only.
fn group_scale(greatest: u32, thread: u32) -> u32 {
  workgroupBarrier();
  magnitudes[thread] = greatest;
  workgroupBarrier();
  var greatest_of_all = 0u;
  for (var i = 0u; i < LANES; i++) { greatest_of_all = max(greatest_of_all, magnitudes[thread - thread % LANES + i]); }
  if (greatest_of_all >= 0x7f800000u) { return greatest_of_all; }
  let scale = (bitcast<u32>(bitcast<f32>(greatest_of_all) * ${Math.fround(1 / most)}f) + 64u) & 0xffffff80u;
  return select(scale, 0u, scale < 0x00800000u);
}

fn inverse_of(scale: u32) -> f32 {
  return select(1.0 / bitcast<f32>(scale), 0.0, scale == 0u);
}

/// Four whole numbers in the lowest bits of a word.
fn packed_four(values: vec4f, inverse: f32) -> u32 {
  let whole = bitcast<vec4u>(vec4i(round(values * inverse))) & vec4u(${2 ** bits - 1}u);
  return whole.x | (whole.y << ${bits}u) | (whole.z << ${2 * bits}u) | (whole.w << ${3 * bits}u);
}
`;
}

/** A row that the threads of a group quantise together. */
export interface QuantisedRow {
  /** An expression that is true where there is a row, and does not change from group to group. */
  readonly present: string;
  /** An expression: how many fours the row has; the same for all rows. */
  readonly fours: string;
  /** An expression: four elements, by their number. */
  readonly read: (four: string) => string;
  /** An expression: the word that the row begins with. */
  readonly to: string;
  /** A statement that stores a word. */
  readonly write: (at: string, word: string) => string;
}

/** Statements that quantise a row, in uniform control flow; the shader has `quantiseWgsl` and names its thread `thread`. */
export function quantiseRowWgsl(kvType: QuantisedKvType, { present, fours, read, to, write }: QuantisedRow): string {
  const { perWord, perScale } = foursOf(kvType);
  const group = perScale === null ? fours : `${perScale}u`;
  const word =
    perWord === 1
      ? `packed_four(${read("first + i")}, inverse)`
      : `packed_four(${read("first + 2u * i")}, inverse) | (packed_four(${read("first + 2u * i + 1u")}, inverse) << 16u)`;
  return `for (var first = 0u; first < ${fours}; first += ${group}) {
      var greatest = 0u;
      for (var i = thread % LANES; ${present} && i < ${group}; i += LANES) { greatest = max(greatest, magnitude(${read("first + i")})); }
      let scale = group_scale(greatest, thread);
      let inverse = inverse_of(scale);
      for (var i = thread % LANES; ${present} && i < ${group} / ${perWord}u; i += LANES) { ${write(`${to} + first / ${perWord}u + i`, word)} }
      if (${present} && thread % LANES == 0u) { ${write(`${to} + ${fours} / ${perWord}u + first / ${group}`, "scale")} }
    }`;
}

/** An expression: words from one row to the next. */
export function quantisedStride(kvType: QuantisedKvType, fours: string): string {
  const { perWord, perScale } = foursOf(kvType);
  return `(${fours} / ${perWord}u + ${perScale === null ? "1u" : `${fours} / ${perScale}u`})`;
}
