import { column, constant, randomUnit, selectSlots, type SelectProgram, type SlotView } from "@winnow/core-tensor";
import { ScoreTable, TokenClasses, adaptive, compile, fastgen, parsePolicy, type Policy } from "@winnow/kv-policies";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { price } from "./price";
import { askQuestion, type Reading } from "./question";
import { choose } from "./search";
import { summariseMaps, type Maps } from "./testing/naive-summary";

const QUERY_HEADS = 4;
const KV_HEADS = 2;

/** A special token, a word, two of punctuation. */
const classes = new TokenClasses(
  ["<s>", "word", ".", "!"].map((text, id) => ({ bytes: new TextEncoder().encode(text), special: id === 0 })),
);

/** Attention maps [query head][row][column], causal, each row summing to 1. */
function randomMaps(n: number, seed: number): Maps {
  return Array.from({ length: QUERY_HEADS }, (_, head) =>
    Array.from({ length: n }, (_, row) => {
      // Cubed, so that a few columns stand out as they do in real maps.
      const raw = Array.from({ length: n }, (_, c) => (c > row ? 0 : randomUnit(seed, head * n + row, c) ** 3 + 1e-6));
      const sum = raw.reduce((a, b) => a + b, 0);
      return raw.map((weight) => weight / sum);
    }),
  );
}

function headViews(n: number, ids: readonly number[], maps: Maps): SlotView[] {
  const position = Uint32Array.from({ length: n }, (_, i) => i);
  const flags = classes.flagsOf(ids);
  return Array.from({ length: KV_HEADS }, (_, head) => {
    const group = maps.slice(head * 2, head * 2 + 2);
    const mass = Float32Array.from({ length: n }, (_, c) => group.flat().reduce((sum, row) => sum + (row[c] ?? 0), 0));
    const maxWeight = Float32Array.from({ length: n }, (_, c) => Math.max(...group.flat().map((row) => row[c] ?? 0)));
    return { row: head, count: n, now: n - 1, position, flags, columns: { mass, maxWeight } };
  });
}

/** Recovery by its definition: for every row, the weight on what the policy keeps of it. */
function directRecovery(
  maps: Maps,
  views: readonly SlotView[],
  program: SelectProgram,
  scores: ScoreTable,
  reading: Reading,
): number[] {
  const kept = (now: number): Uint8Array[] =>
    selectSlots(
      views.map((view) => ({ ...view, now })),
      views.map(() => program),
      scores.expressions,
      KV_HEADS,
    );
  return Array.from({ length: KV_HEADS }, (_, head) => {
    const each = [0, 1].map((g) => {
      const map = maps[head * 2 + g] ?? [];
      const rows = map.map((row, i) => {
        const mask = kept(reading === "row" ? i : map.length - 1)[head];
        return row.reduce((sum, weight, c) => sum + (mask?.[c] === 1 ? weight : 0), 0);
      });
      return rows.reduce((a, b) => a + b, 0) / rows.length;
    });
    return Math.min(...each);
  });
}

function priced(maps: Maps, views: readonly SlotView[], policies: readonly Policy[], n: number, reading: Reading) {
  const scores = new ScoreTable();
  const programs = policies.map((policy) =>
    compile(policy, { promptTokens: n, length: n, kvHeads: KV_HEADS, classes, scores }),
  );
  const question = askQuestion(programs, scores.expressions, views, n, reading);
  const summary = summariseMaps(question, maps, views, KV_HEADS);
  const options = { rows: n, queryHeads: QUERY_HEADS, kvHeads: KV_HEADS, group: "min" } as const;
  return { prices: price(question, summary, options), programs, scores };
}

const policyText = fc.constantFrom(
  "special",
  "special | punctuation",
  "frequent(30%)",
  "recent(25%)",
  "special | punctuation | frequent(30%) | recent(30%)",
  "top(maxWeight, 20%) & !punctuation",
  "frequent(40%) - recent(3)",
  "sink(2) | every(3, 1)",
  "frequent(20%) | top(maxWeight, 20%)",
  "limit(!special, 3, by maxWeight)",
  "top(mass, 50%, layer)",
  "none",
  "full",
);

describe("price", () => {
  test("is what the definition says, for both readings", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 24 }),
        fc.integer({ min: 0, max: 1000 }),
        fc.uniqueArray(policyText, { minLength: 1, maxLength: 6 }),
        fc.constantFrom<Reading>("row", "cut"),
        (n, seed, texts, reading) => {
          const ids = Array.from({ length: n }, (_, i) => Math.floor(randomUnit(seed, 999, i) * 4));
          const maps = randomMaps(n, seed);
          const views = headViews(n, ids, maps);
          const policies = texts.map((text) => parsePolicy(text));
          const { prices, programs, scores } = priced(maps, views, policies, n, reading);
          programs.forEach((program, candidate) => {
            const recovery = directRecovery(maps, views, program, scores, reading);
            const masks = selectSlots(
              views,
              views.map(() => program),
              scores.expressions,
              KV_HEADS,
            );
            for (let head = 0; head < KV_HEADS; head++) {
              const found = prices[head]?.[candidate];
              expect(Math.abs((found?.recovery ?? NaN) - (recovery[head] ?? NaN))).toBeLessThan(1e-5);
              expect(found?.kept).toBe(masks[head]?.reduce((sum, bit) => sum + bit, 0));
            }
          });
        },
      ),
      { numRuns: 150 },
    );
  });

  test("full recovers exactly 1, none exactly 0 where rows give all to the prompt", () => {
    const maps = randomMaps(9, 3);
    const views = headViews(9, [0, 1, 1, 2, 1, 1, 3, 1, 1], maps);
    const { prices } = priced(maps, views, [parsePolicy("full"), parsePolicy("none")], 9, "row");
    expect(prices[0]?.[0]).toEqual({ recovery: 1, kept: 9 });
    expect(prices[0]?.[1]?.kept).toBe(0);
    expect(prices[0]?.[1]?.recovery).toBeCloseTo(0, 6);
  });

  test.each([fastgen(), adaptive()])(
    "a later candidate of $name never recovers less nor keeps less",
    ({ candidates, reading }) => {
      for (let seed = 0; seed < 20; seed++) {
        const n = 5 + seed * 3;
        const maps = randomMaps(n, seed);
        const views = headViews(
          n,
          Array.from({ length: n }, (_, i) => Math.floor(randomUnit(seed, 1, i) * 4)),
          maps,
        );
        for (const head of priced(maps, views, candidates, n, reading).prices) {
          for (let i = 1; i < head.length; i++) {
            expect(head[i]?.recovery).toBeGreaterThanOrEqual(head[i - 1]?.recovery ?? NaN);
            expect(head[i]?.kept).toBeGreaterThanOrEqual(head[i - 1]?.kept ?? NaN);
          }
        }
      }
    },
  );

  test("heads with columns of their own are classed one by one", () => {
    const maps = randomMaps(6, 8);
    const views = headViews(6, [0, 1, 2, 1, 3, 1], maps).map((view, head) => ({
      ...view,
      position: Uint32Array.from(view.position, (p) => p + 4 * head),
      flags: view.flags.slice().fill(head === 0 ? 1 : 0),
      now: 9,
    }));
    const { prices } = priced(maps, views, [parsePolicy("special"), parsePolicy("sink(5)")], 6, "cut");
    expect(prices.map((head) => head.map(({ kept }) => kept))).toEqual([
      [6, 5],
      [0, 1],
    ]);
  });

  test("a policy that ranks within a ranking has no price", () => {
    const maps = randomMaps(6, 8);
    const views = headViews(6, [0, 1, 2, 1, 3, 1], maps);
    const { prices } = priced(maps, views, [parsePolicy("limit(frequent(50%), 1, by maxWeight)")], 6, "row");
    expect(prices[0]).toEqual([{ recovery: null, kept: null }]);
  });

  test("a score that no program defines is named", () => {
    const program: SelectProgram = { ranks: [{ score: 2, k: 1, scope: "head" }], keep: [] };
    expect(() => askQuestion([program], [column("mass"), constant(1)], [], 1, "row")).toThrow(/score 2 of 2/);
  });
});

describe("choose", () => {
  const prices = [0.2, 0.5, null, 0.95, 1].map((recovery) => ({ recovery, kept: recovery === null ? null : 1 }));

  test.each([
    { threshold: 0.5, atLeast: 0, chosen: 1 },
    { threshold: 0.51, atLeast: 0, chosen: 3 },
    { threshold: 0.1, atLeast: 3, chosen: 3 },
    { threshold: null, atLeast: 0, chosen: 0 },
    { threshold: 1, atLeast: 0, chosen: 4 },
  ])("takes the first candidate that reaches $threshold from $atLeast on", ({ threshold, atLeast, chosen }) => {
    expect(choose(prices, threshold, atLeast)).toBe(chosen);
  });

  test("takes the last where none does", () => {
    expect(choose(prices.slice(0, 2), 0.99)).toBe(1);
  });
});
