import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { NOT_A_TOKEN, type SamplingParams } from "../../backend";
import { rows } from "../../device-tensor";
import { randomUnit } from "../../expr";
import { at, randoms } from "../fixture";
import { naiveSoftmax } from "../naive";
import type { SuiteContext } from "../suite-context";

const GREEDY: SamplingParams = { temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, seed: 5 };

/** Drawing a token, and its log-probability. */
export function sampleSuite(context: SuiteContext): void {
  const draw = async (
    logits: ArrayLike<number>,
    params: SamplingParams,
    { seen = [], choice = 0, position = 0 }: { seen?: readonly number[]; choice?: number; position?: number } = {},
  ): Promise<{ token: number; logProbability: number }> => {
    const { backend, fixture } = context;
    const token = fixture.u32([1]);
    const logProbability = fixture.f32([1]);
    const seenIds = Uint32Array.from(seen);
    const tensor = fixture.f32(
      [2, logits.length],
      [...new Array<number>(logits.length).fill(50), ...Array.from(logits)],
    );
    backend.sample({ logits: rows(tensor, 1, 1), params, seen: seenIds, choice, position, token, logProbability });
    // What was handed over counts as it was then.
    seenIds.fill(0);
    return { token: at(await fixture.read(token), 0), logProbability: at(await fixture.read(logProbability), 0) };
  };

  describe("sample", () => {
    it("takes the greatest logit at temperature 0, and the lower id of two", async () => {
      expect((await draw([1, 3, 3, 2], GREEDY)).token).toBe(1);
      expect((await draw([-Infinity, -Infinity, -5], GREEDY)).token).toBe(2);
      expect((await draw([0, Infinity, 1], GREEDY)).token).toBe(1);
      expect((await draw([0, Infinity, 1], { ...GREEDY, temperature: 1 })).token).toBe(1);
    });

    it("gives no token where a logit is not a number", async () => {
      for (const temperature of [0, 1]) {
        expect(await draw([1, NaN, 0], { ...GREEDY, temperature })).toEqual({
          token: NOT_A_TOKEN,
          logProbability: NaN,
        });
      }
    });

    it("divides the logits of tokens seen by the penalty, and multiplies those below 0", async () => {
      const penalty = { ...GREEDY, repetitionPenalty: 2 };
      expect((await draw([3, 2, 1], penalty, { seen: [0] })).token).toBe(1);
      expect((await draw([3, 2, 1], penalty, { seen: [0, 0, 1] })).token).toBe(0);
      expect((await draw([-1, -1.5, -4], penalty, { seen: [0] })).token).toBe(1);
    });

    it("gives the log-probability at temperature 1, before any filter", async () => {
      const logits = randoms(1, 50).map((value) => 6 * value);
      const { token, logProbability } = await draw(
        logits,
        { ...GREEDY, temperature: 0.3, topK: 4, repetitionPenalty: 1.5 },
        { seen: [1, 2] },
      );
      expect([logProbability]).toBeAllclose([Math.log(at(naiveSoftmax(Array.from(logits)), token))], context.tolerance);
    });

    it("draws from the filtered distribution where the random number falls", async () => {
      const params = fc.record({
        temperature: fc.double({ min: 0.1, max: 3, noNaN: true }),
        topK: fc.integer({ min: 0, max: 12 }),
        topP: fc.double({ min: 0.05, max: 1, noNaN: true }),
        minP: fc.double({ min: 0, max: 0.5, noNaN: true }),
        repetitionPenalty: fc.constantFrom(1, 1.3),
        seed: fc.nat(1e6),
      });
      await fc.assert(
        fc.asyncProperty(
          params,
          fc.integer({ min: 1, max: 40 }),
          fc.nat(5),
          fc.nat(500),
          async (given, vocabulary, choice, position) => {
            const logits = randoms(given.seed, vocabulary).map((value) => 8 * value);
            const seen = [0, vocabulary - 1];
            const { token } = await draw(logits, given, { seen, choice, position });
            const penalised = Array.from(logits, (logit, id) =>
              seen.includes(id)
                ? logit > 0
                  ? logit / given.repetitionPenalty
                  : logit * given.repetitionPenalty
                : logit,
            );
            const probabilities = naiveSoftmax(penalised.map((logit) => logit / given.temperature));
            let order = probabilities.map((p, id) => ({ p, id })).sort((a, b) => b.p - a.p || a.id - b.id);
            if (given.topK > 0) order = order.slice(0, given.topK);
            const total = order.reduce((sum, { p }) => sum + p, 0);
            // Whether the last token of a nucleus is in can hang on the last bit: both answers are right then.
            const slack = 1e-6;
            const nucleus = (topP: number): number => {
              let mass = 0;
              return order.findIndex(({ p }) => (mass += p) >= topP * total) + 1 || order.length;
            };
            const lengths = new Set([nucleus(given.topP - slack), nucleus(given.topP + slack)]);
            const accepted = [...lengths].some((length) => {
              const left = order
                .slice(0, length)
                .filter(({ p }, i) => i === 0 || p >= given.minP * at(order, 0).p * (1 - slack));
              const mass = left.reduce((sum, { p }) => sum + p, 0);
              const place = left.findIndex(({ id }) => id === token);
              if (place === -1) return false;
              const below = left.slice(0, place).reduce((sum, { p }) => sum + p, 0) / mass;
              const unit = randomUnit(given.seed, choice, position);
              return unit >= below - slack && unit <= below + at(left, place).p / mass + slack;
            });
            expect(accepted).toBe(true);
          },
        ),
        { numRuns: 60 },
      );
    });

    it("draws the same token again, and others for other seeds, choices and positions", async () => {
      const logits = new Float32Array(64);
      const params = { ...GREEDY, temperature: 1 };
      const tokens = async (vary: (i: number) => Parameters<typeof draw>[2], seed = 5): Promise<number[]> => {
        const drawn: number[] = [];
        for (let i = 0; i < 12; i++) drawn.push((await draw(logits, { ...params, seed }, vary(i))).token);
        return drawn;
      };
      const byPosition = await tokens((position) => ({ position }));
      expect(await tokens((position) => ({ position }))).toEqual(byPosition);
      expect(new Set(byPosition).size).toBeGreaterThan(6);
      expect(await tokens((position) => ({ position }), 6)).not.toEqual(byPosition);
      expect(await tokens((position) => ({ position, choice: 1 }))).not.toEqual(byPosition);
    });
  });
}
