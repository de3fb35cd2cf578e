import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { WinnowError, randomWord } from "@winnow/core-tensor";
import { expect, it } from "vitest";

import { decodeText, parseJson } from "../files/json-file";
import { MOST_MORE_BYTES, peakMemory } from "../files/testing/peak-memory";
import { TINY } from "../testing/models";
import { Tokenizer } from "./tokenizer";

const NONSENSE = [
  "null",
  "true",
  "-1",
  "1e300",
  '""',
  "[]",
  "{}",
  '"\\ud800"',
  "[[[[]]]]",
  "99999999999",
  '{"type":"BPE"}',
];

/** One of a few kinds of damage, by a number. */
function damaged(whole: Uint8Array, seed: number): Uint8Array {
  const random = (i: number, below: number): number => randomWord(seed, i, 0) % below;
  const bytes = Uint8Array.from(whole);
  const place = random(0, bytes.length);
  switch (seed % 4) {
    case 0:
      return bytes.subarray(0, place);
    case 1:
      for (let flips = 1 + random(1, 8); flips > 0; flips--) {
        const byte = random(10 + flips, bytes.length);
        bytes[byte] = (bytes[byte] ?? 0) ^ (1 << random(30 + flips, 8));
      }
      return bytes;
    case 2:
      bytes.copyWithin(place, random(1, bytes.length), random(1, bytes.length) + random(2, 400));
      return bytes;
    default: {
      // A value that is none of what is expected there.
      const text = Buffer.from(bytes).toString("utf8");
      const values = [...text.matchAll(/:\s*("(?:[^"\\]|\\.)*"|-?\d+|true|false|null|\{|\[)/g)];
      // Most of a tokenizer is its vocabulary: half of the damage is done to what comes before and behind it.
      const count = values.length;
      const at = values[random(3, 2) === 0 ? random(4, count) : (random(5, Math.min(60, count)) + count - 30) % count];
      if (at === undefined) return bytes;
      const end = at.index + at[0].length;
      const value = NONSENSE[random(6, NONSENSE.length)] ?? "null";
      return Buffer.from(`${text.slice(0, at.index)}: ${value}${text.slice(end)}`);
    }
  }
}

it("4,000 damaged tokenizers are refused in one line, or are other tokenizers", async () => {
  const whole = await readFile(join(TINY, "tokenizer.json"));
  let refused = 0;
  for (let seed = 0; seed < 4000; seed++) {
    const bytes = damaged(whole, seed);
    const before = peakMemory();
    try {
      const tokenizer = new Tokenizer(parseJson(decodeText(bytes, "tokenizer.json"), "tokenizer.json"));
      tokenizer.decode(tokenizer.encode("Tom's 31 é 🙂"));
    } catch (error) {
      refused++;
      if (!(error instanceof WinnowError)) throw new Error(`seed ${seed}`, { cause: error });
      expect(error.message, `seed ${seed}`).toMatch(/^[^\n]{10,1500}$/);
    }
    expect(peakMemory() - before, `seed ${seed}`).toBeLessThan(bytes.length + MOST_MORE_BYTES);
  }
  expect(refused).toBeGreaterThan(1500);
}, 120_000);
