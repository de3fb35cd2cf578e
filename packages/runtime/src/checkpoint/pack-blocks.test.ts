import { dequantiseRow, QUANTISED_TYPES, quantisedRow } from "@winnow/core-tensor";
import { describe, expect, it } from "vitest";

import { rowPacker } from "./pack-blocks";
import { DECODERS } from "./quantised-blocks";
import { BLOCK_TYPES, randomBlocks } from "./testing/random-blocks";

describe("rows of words", () => {
  it.each(BLOCK_TYPES)("stand for what the blocks of %s do, to the bit", (name) => {
    const type = QUANTISED_TYPES.find((type) => type === name.toLowerCase());
    if (type === undefined) throw new Error(`no type ${name}`);
    const unit = name.endsWith("K") ? 256 : 32;
    for (const [rows, blocks] of [
      [1, 1],
      [3, 2],
      [2, 5],
    ] as const) {
      const width = blocks * unit;
      const row = quantisedRow(type, width);
      const bytes = randomBlocks(name, rows * width, 7 + rows);
      const halves = new Uint16Array(bytes.buffer, 0, bytes.length / 2);
      const words = new Uint32Array(rows * row.words);
      const pack = rowPacker(type, width);
      const [found, expected] = [new Float32Array(rows * width), new Float32Array(rows * width)];
      for (let r = 0; r < rows; r++) {
        pack(halves, (r * halves.length) / rows, words, r * row.words);
        dequantiseRow(row, words, r * row.words, found, r * width);
      }
      const blockBytes = bytes.length / (rows * blocks);
      for (let b = 0; b < rows * blocks; b++) {
        DECODERS[name]?.(bytes, b * blockBytes, expected.subarray(b * unit, (b + 1) * unit));
      }
      // A zero has either sign.
      expect(found.map((value) => value + 0)).toEqual(expected.map((value) => value + 0));
    }
  });
});
