import { writeFile } from "node:fs/promises";

import { WinnowError, createCpuBackend, randomWord } from "@winnow/core-tensor";
import { expect, it } from "vitest";

import { MOST_MORE_BYTES, peakMemory } from "../files/testing/peak-memory";
import { temporaryDirectory } from "../files/testing/temporary-directory";
import { loadModel } from "../model";
import { TINY } from "../testing/models";
import { ggufOf } from "./testing/gguf-of";

const at = temporaryDirectory();
/** Where the header ends, about: the weights behind it are only numbers. */
const HEADER_BYTES = 40_000;

/** One of a few kinds of damage, by a number. */
function damaged(whole: Uint8Array, seed: number): Uint8Array {
  const random = (i: number, below: number): number => randomWord(seed, i, 0) % below;
  const bytes = Uint8Array.from(whole);
  const view = new DataView(bytes.buffer);
  const place = random(0, Math.min(HEADER_BYTES, bytes.length - 8));
  switch (seed % 5) {
    case 0:
      return bytes.subarray(0, random(1, bytes.length));
    case 1:
      for (let flips = 1 + random(1, 8); flips > 0; flips--) {
        const byte = random(10 + flips, Math.min(HEADER_BYTES, bytes.length));
        bytes[byte] = (bytes[byte] ?? 0) ^ (1 << random(30 + flips, 8));
      }
      return bytes;
    case 2:
      // A length that lies, or a number that is far off.
      view.setBigUint64(place, [0n, 1n, 2n ** 31n, 2n ** 40n, 2n ** 63n, 2n ** 64n - 1n][random(1, 6)] ?? 0n, true);
      return bytes;
    case 3:
      // A piece of the file where another should be.
      bytes.copyWithin(place, random(1, bytes.length), random(1, bytes.length) + random(2, 400));
      return bytes;
    default:
      view.setUint32(24 + random(0, 2000), random(1, 16), true);
      return bytes;
  }
}

it("2,000 damaged GGUF files are refused in one line, or are another model", async () => {
  const [whole = new Uint8Array(0)] = await ggufOf(TINY);
  let refused = 0;
  for (let seed = 0; seed < 2000; seed++) {
    const path = at("damaged.gguf");
    const bytes = damaged(whole, seed);
    await writeFile(path, bytes);
    const before = peakMemory();
    try {
      using model = await loadModel(path, { backend: createCpuBackend() });
      model.tokenizer.encode("Tom's 31 é");
      model.template?.render([{ role: "user", content: "Hi" }]);
    } catch (error) {
      refused++;
      if (!(error instanceof WinnowError)) throw new Error(`seed ${seed}`, { cause: error });
      expect(error.message, `seed ${seed}`).toMatch(/^[^\n]{10,1500}$/);
    }
    expect(peakMemory() - before, `seed ${seed}`).toBeLessThan(bytes.length + MOST_MORE_BYTES);
  }
  expect(refused).toBeGreaterThan(600);
}, 120_000);
