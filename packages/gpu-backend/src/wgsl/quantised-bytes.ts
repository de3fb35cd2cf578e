import { quantisedRow, SUPER_GROUP, type QuantisedType } from "@winnow/core-tensor";

/** Elements that a kernel of whole numbers takes at a time: they share a scale in every type. */
export const BYTES_CHUNK = 16;

/** What whole numbers of a type are lessened by, before their scale. */
export function zeroOf(type: QuantisedType): number {
  return quantisedRow(type, SUPER_GROUP).zero;
}

/** Groups of one scale by chunk: an expression. */
export function groupOfChunk(type: QuantisedType, chunk: string): string {
  const chunks = quantisedRow(type, SUPER_GROUP).group / BYTES_CHUNK;
  return chunks === 1 ? chunk : `${chunk} / ${chunks}u`;
}

/**
 * `NAME_bytes(at, chunk)`: the whole numbers of elements 16·chunk to 16·chunk + 15 of the quantised row that begins with word
 * `at` of a storage variable, a signed byte each, as vec4u. What they are lessened by ({@link zeroOf}) is still to be taken off.
 */
export function bytesWgsl(variable: string, type: QuantisedType): string {
  const { bits } = quantisedRow(type, SUPER_GROUP);
  const word = (index: string): string => `${variable}[at + ${index}]`;
  const units = [0, 1, 2, 3] as const;
  const lows =
    bits === 8
      ? units.map((i) => word(`4u * chunk + ${i}u`))
      : units.map((i) => `((${i < 2 ? "first" : "second"} >> ${4 * (i % 2)}u) & 0x0f0f0f0fu)`);
  // The bits above the lowest four of a unit, from bit 4 on.
  const highs = {
    4: null,
    5: (i: number): string => `(((high >> (4u * (chunk % 2u) + ${i}u)) & 0x01010101u) << 4u)`,
    6: (i: number): string => `(((high >> ${2 * i}u) & 0x03030303u) << 4u)`,
    8: null,
  }[bits];
  return `fn ${variable}_bytes(at: u32, chunk: u32) -> vec4u {
  ${bits === 8 ? "" : `let first = ${word("2u * chunk")}; let second = ${word("2u * chunk + 1u")};`}
  ${highs === null ? "" : `let high = ${word(`params.row_high + chunk${bits === 5 ? " / 2u" : ""}`)};`}
  return vec4u(${units.map((i) => `${lows[i] ?? ""}${highs === null ? "" : ` | ${highs(i)}`}`).join(", ")});
}`;
}
