import * as fc from "fast-check";
import { expect, test } from "vitest";

import { referenceOf, scoreAnswer } from "./score";

const logits = fc
  .array(fc.float({ min: -30, max: 30, noNaN: true }), { minLength: 5, maxLength: 5 })
  .map((values) => Float32Array.from(values));

/** The softmax as its formula says. */
function softmax(values: Float32Array): number[] {
  const sum = values.reduce((all, value) => all + Math.exp(value), 0);
  return Array.from(values, (value) => Math.exp(value) / sum);
}

test("likelihood and KL divergence are what their formulas say", () => {
  fc.assert(
    fc.property(logits, logits, fc.nat(4), (own, full, token) => {
      const [p, q] = [softmax(full), softmax(own)];
      const kl = p.reduce((sum, share, i) => sum + share * Math.log(share / (q[i] ?? NaN)), 0);
      const found = scoreAnswer("likelihood", [token], [own], [referenceOf(full)]);
      expect(found.score).toBeCloseTo(q[token] ?? NaN, 10);
      expect(found.kl).toBeCloseTo(kl, 8);
    }),
  );
});

test("the full cache does not differ from itself", () => {
  fc.assert(
    fc.property(logits, (own) => {
      expect(scoreAnswer("exact", [0], [own], [referenceOf(own)])).toMatchObject({ kl: 0, agreement: 1 });
    }),
  );
});

test("an answer is exact where every token is the first choice, of several the first", () => {
  const one = Float32Array.of(0, 2, 1);
  const tied = Float32Array.of(3, 1, 3);
  const full = [one, one].map(referenceOf);
  expect(scoreAnswer("exact", [1, 0], [one, tied], full)).toMatchObject({ score: 1, agreement: 0.5 });
  expect(scoreAnswer("exact", [1, 2], [one, tied], full).score).toBe(0);
  expect(scoreAnswer("graded", [1, 2], [one, tied], full).score).toBe(0.5);
});
