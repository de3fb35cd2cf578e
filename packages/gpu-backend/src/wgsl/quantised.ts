import { quantisedRow, SUPER_GROUP, type QuantisedRow, type QuantisedType } from "@winnow/core-tensor";

/** Where the parts of a quantised row lie, in words: fields of a kernel's `params`. */
export const QUANTISED_PARAMS = { row_words: "u32", row_high: "u32", row_scales: "u32", row_supers: "u32" } as const;

/** Values of {@link QUANTISED_PARAMS}; zeros where rows are not quantised. */
export function quantisedParams(row: QuantisedRow | null): Readonly<Record<keyof typeof QUANTISED_PARAMS, number>> {
  return {
    row_words: row?.words ?? 0,
    row_high: row?.high ?? 0,
    row_scales: row?.scales ?? 0,
    row_supers: row?.supers ?? 0,
  };
}

/**
 * `NAME_at(at, unit)`: elements 4·unit to 4·unit + 3 of the quantised row that begins with word `at` of a storage variable, as
 * vec4f. See `QuantisedRow` of core-tensor for where their bits are.
 */
export function quantisedReader(variable: string, type: QuantisedType): string {
  // A width that every type allows: what is asked of the row here does not depend on it.
  const { bits, zero, group, scale } = quantisedRow(type, SUPER_GROUP);
  const word = (part: string, index: string): string => `${variable}[at + ${part}${index}]`;
  const high = {
    4: "",
    5: ` | (((${word("params.row_high + ", "unit / 8u")} >> (unit % 8u)) & 0x01010101u) << 4u)`,
    6: ` | (((${word("params.row_high + ", "unit / 4u")} >> (2u * (unit % 4u))) & 0x03030303u) << 4u)`,
    8: "",
  }[bits];
  const four =
    bits === 8
      ? `vec4f(unpack4xI8(${word("", "unit")}))`
      : `vec4f(unpack4xU8(((${word("", "unit / 2u")} >> (4u * (unit % 2u))) & 0x0f0f0f0fu)${high}))`;
  const elements = zero === 0 ? four : `(${four} - ${zero}.0)`;
  return `${scaleWgsl(variable, type)}
fn ${variable}_at(at: u32, unit: u32) -> vec4f {
  let scale = ${variable}_scale(at, unit / ${group / 4}u);
  return ${hasOffset(scale) ? `scale.x * ${elements} + scale.y` : `scale * ${elements}`};
}`;
}

/** Whether elements are multiplied and then added to. */
export function hasOffset(scale: QuantisedRow["scale"]): boolean {
  return scale === "half-pair" || scale === "byte-pair";
}

/**
 * `NAME_scale(at, group)`: what an element of a group is multiplied by, f32, or with {@link hasOffset} that and what is added,
 * vec2f. See `QuantisedRow` of core-tensor.
 */
export function scaleWgsl(variable: string, type: QuantisedType): string {
  const { group, scale } = quantisedRow(type, SUPER_GROUP);
  const word = (part: string, index: string): string => `${variable}[at + ${part}${index}]`;
  const halves = (part: string, index: string): string => `unpack2x16float(${word(`params.${part} + `, index)})`;
  const supers = SUPER_GROUP / group;
  const body = {
    half: `let pair = ${halves("row_scales", "group / 2u")};
  return select(pair.x, pair.y, group % 2u == 1u);`,
    "half-pair": `return ${halves("row_scales", "group")};`,
    byte: `let pair = ${halves("row_supers", `group / ${2 * supers}u`)};
  let whole = select(pair.x, pair.y, group / ${supers}u % 2u == 1u);
  let part = bitcast<i32>(${word("params.row_scales + ", "group / 4u")} << (24u - 8u * (group % 4u))) >> 24u;
  return whole * f32(part);`,
    "byte-pair": `let pair = ${halves("row_supers", `group / ${supers}u`)};
  let parts = ${word("params.row_scales + ", "group / 2u")} >> (16u * (group % 2u));
  return vec2f(pair.x * f32(parts & 0xffu), -(pair.y * f32((parts >> 8u) & 0xffu)));`,
  }[scale];
  return `fn ${variable}_scale(at: u32, group: u32) -> ${hasOffset(scale) ? "vec2f" : "f32"} {
  ${body}
}`;
}
