import fc from "fast-check";
import { expect, it } from "vitest";

import { Fingerprint } from "./fingerprint";

/** FNV-1a as its authors define it, in whole 64-bit numbers. */
function fnv1a(bytes: readonly number[]): string {
  let hash = 0xcbf29ce484222325n;
  for (const byte of bytes) hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & 0xffffffffffffffffn;
  return hash.toString(16).padStart(16, "0");
}

it("is FNV-1a over each run's length and bytes", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 6 }), (runs) => {
      const hash = new Fingerprint();
      for (const run of runs) hash.add(run);
      const framed = runs.flatMap((run) => [run.length & 0xff, run.length >> 8, 0, 0, ...run]);
      expect(hash.toString()).toBe(fnv1a(framed));
    }),
  );
  expect(new Fingerprint().toString()).toBe(fnv1a([]));
});
