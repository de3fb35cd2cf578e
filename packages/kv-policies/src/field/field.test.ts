import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { adaKv, defineStrategy, PolicyRegistry, resolvePolicy, type HeadView } from "../index";
import { fieldScenes, keptBy, type FieldScene } from "../testing/field-scene";

/** Each method again, as its paper writes it: a score for every slot, and the positions that are kept for a budget. */
type Formula = (scene: FieldScene, k: number) => number[][][];

const WINDOW = 32;

/** The k positions of greatest score, the earlier of equals first. */
function best(scores: readonly number[], k: number, among = scores.map((_, i) => i)): number[] {
  return [...among]
    .sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0) || a - b)
    .slice(0, k)
    .sort((a, b) => a - b);
}

const byHead =
  (score: (head: HeadView, heads: readonly HeadView[]) => readonly number[]): Formula =>
  ({ layers }, k) =>
    layers.map(({ heads }) => heads.map((head) => best(score(head, heads), k)));

const column = (head: HeadView, name: string): number[] => [...(head.columns[name] ?? [])];

const merged = (...sets: readonly (readonly number[])[]): number[] => [...new Set(sets.flat())].sort((a, b) => a - b);

const range = (from: number, to: number): number[] =>
  Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);

/** A window's newest, as many as the budget has room for. */
const newest = (length: number, window: number, k: number): number[] =>
  range(Math.max(0, length - Math.min(window, k)), length);

/** SnapKV's votes: for a slot before the window the greatest among the three before it, itself and the three behind. */
function pooled(head: HeadView): number[] {
  const before = Math.max(0, head.count - WINDOW);
  const votes = column(head, "windowMass").slice(0, before);
  return votes.map((_, i) => Math.max(...votes.slice(Math.max(0, i - 3), i + 4)));
}

const snapkv: Formula = ({ length, layers }, k) =>
  layers.map(({ heads }) => heads.map((head) => merged(best(pooled(head), k), newest(length, WINDOW, k))));

const pyramidkv: Formula = (scene, k) => {
  const { length, layers } = scene;
  const room = Math.max(0, length - WINDOW);
  const least = Math.floor(k / 20);
  let most = 2 * k - least;
  let end = least;
  if (most > room) {
    most = room;
    end = Math.max(0, 2 * k - most);
  }
  return layers.map(({ heads }, l) => {
    const share = layers.length > 1 ? most - ((most - end) / (layers.length - 1)) * l : k;
    const budget = Math.min(room, Math.round(share));
    return heads.map((head) => merged(best(pooled(head), budget), newest(length, WINDOW, k)));
  });
};

const adakv: Formula = ({ length, layers }, k) =>
  layers.map(({ heads }) => {
    const room = Math.max(0, length - WINDOW);
    const equal = Math.min(k, room);
    const all = heads.flatMap((head, h) => pooled(head).map((score, i) => ({ h, i, score })));
    all.sort((a, b) => b.score - a.score || a.h - b.h || a.i - b.i);
    const chosen = all.slice(0, equal * heads.length);
    return heads.map((head, h) => {
      const own = chosen.filter((one) => one.h === h).length;
      const budget = Math.round(0.8 * own + Math.floor(0.2 * equal));
      return merged(best(pooled(head), budget), newest(length, WINDOW, k));
    });
  });

const kvzip: Formula = ({ layers }, k) => {
  const all = layers.flatMap(({ heads }, l) =>
    heads.flatMap((head, h) => column(head, "maxWeight").map((score, i) => ({ l, h, i, score }))),
  );
  const total = k * layers.reduce((sum, { heads }) => sum + heads.length, 0);
  all.sort((a, b) => b.score - a.score || a.l - b.l || a.h - b.h || a.i - b.i);
  const chosen = all.slice(0, total);
  return layers.map(({ heads }, l) =>
    heads.map((_, h) => chosen.filter((one) => one.l === l && one.h === h).map(({ i }) => i)).map((one) => merged(one)),
  );
};

const tova: Formula = byHead((_, heads) =>
  (heads[0] === undefined ? [] : column(heads[0], "lastMass")).map((__, i) =>
    Math.fround(heads.reduce((sum, head) => sum + (head.columns.lastMass?.[i] ?? 0), 0) / heads.length),
  ),
);

const scissorhands: Formula = ({ length, layers }, k) =>
  layers.map(({ heads }) =>
    heads.map((head) => {
      return merged(newest(length, 10, k), best(column(head, "hits"), k, range(0, Math.max(0, length - 10))));
    }),
  );

const criticalkv: Formula = ({ length, layers }, k) =>
  layers.map(({ heads }) =>
    heads.map((head) => {
      const room = range(0, Math.max(0, length - WINDOW));
      const votes = pooled(head);
      const half = Math.ceil(k / 2);
      const first = best(votes, half, room);
      const rest = room.filter((i) => !first.includes(i));
      const weighted = votes.map((vote, i) =>
        Math.fround(Math.fround(vote + Math.fround(1e-4)) * (head.columns.outputNorm?.[i] ?? 0)),
      );
      return merged(first, best(weighted, half, rest), newest(length, WINDOW, k));
    }),
  );

const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, x, i) => sum + x * (b[i] ?? 0), 0);

/** The expectation worked out with the mean rotation as a matrix. */
const expectedAttention: Formula = ({ layers }, k) =>
  layers.map(({ heads }) =>
    heads.map((head) => {
      const { queries } = head;
      if (queries === undefined) throw new Error("no queries");
      const { headDim: d, scale } = queries;
      const vector = (of: Float32Array | undefined, i: number): number[] => [...(of ?? []).slice(i * d, (i + 1) * d)];
      const matrix = range(0, d).map(() => range(0, d).map(() => 0));
      for (let i = 0; i < 512; i++) {
        const rotation = queries.rotation(head.now + 1 + i);
        for (let a = 0; a < d / 2; a++) {
          const b = a + d / 2;
          const [cosine = 0, sine = 0] = [rotation[a], rotation[b]];
          const add = (row: number, at: number, value: number): void => {
            const of = matrix[row] ?? [];
            of[at] = (of[at] ?? 0) + value / 512;
          };
          add(a, a, cosine);
          add(b, b, cosine);
          add(a, b, -sine);
          add(b, a, sine);
        }
      }
      const mean = new Array<number>(head.count).fill(0);
      for (let q = 0; q < queries.heads; q++) {
        const mu = matrix.map((row) => dot(row, vector(queries.mean, q)));
        const sigma = range(0, d).map((i) => vector(queries.covariance, q * d + i));
        // R Σ Rᵀ
        const half = matrix.map((row) =>
          range(0, d).map((j) =>
            dot(
              row,
              sigma.map((line) => line[j] ?? 0),
            ),
          ),
        );
        const turned = half.map((row) => matrix.map((line) => dot(row, line)));
        const logits = range(0, head.count).map((i) => {
          const key = vector(head.keys, i);
          return i < 4
            ? -Infinity
            : scale * dot(mu, key) +
                (scale ** 2 / 2) *
                  dot(
                    key,
                    turned.map((row) => dot(row, key)),
                  );
        });
        const sum = logits.reduce((total, logit) => total + Math.exp(logit), 0);
        logits.forEach((logit, i) => {
          mean[i] = (mean[i] ?? 0) + (sum === 0 ? 0 : Math.exp(logit) / sum) / queries.heads;
        });
      }
      const scores = mean.map((weight, i) => Math.fround(weight * Math.hypot(...vector(head.values, i))));
      return merged(range(0, Math.min(4, head.count)), best(scores, k, range(4, head.count)));
    }),
  );

/** Every pair's cosine, in full. */
const rKv: Formula = ({ length, layers }, k) =>
  layers.map(({ heads }) =>
    heads.map((head) => {
      const d = (head.keys?.length ?? 0) / head.count;
      const key = (i: number): number[] => [...(head.keys ?? []).slice(i * d, (i + 1) * d)];
      const cosine = (a: readonly number[], b: readonly number[]): number => {
        const lengths = Math.hypot(...a) * Math.hypot(...b);
        return lengths === 0 ? 0 : dot(a, b) / lengths;
      };
      const mean = range(0, length).map(
        (i) => range(0, length).reduce((sum, j) => sum + (i === j ? 0 : cosine(key(i), key(j))), 0) / length,
      );
      const all = mean.reduce((sum, x) => sum + Math.exp(x), 0);
      const mass = column(head, "lastMass");
      const total = mass.reduce((sum, x) => sum + x, 0);
      const scores = mean.map((x, i) => 0.1 * (total === 0 ? 0 : (mass[i] ?? 0) / total) - 0.9 * (Math.exp(x) / all));
      return merged(newest(length, 8, k), best(scores, k, range(0, Math.max(0, length - 8))));
    }),
  );

const FORMULAS: readonly (readonly [name: string, formula: Formula])[] = [
  ["knorm", byHead((head) => column(head, "keyNorm").map((x) => -x))],
  ["keydiff", byHead((head) => column(head, "keyDiff").map((x) => -x))],
  ["tova", tova],
  ["scissorhands", scissorhands],
  ["snapkv", snapkv],
  ["pyramidkv", pyramidkv],
  ["ada-kv", adakv],
  ["kvzip", kvzip],
  ["criticalkv", criticalkv],
  ["expected-attention", expectedAttention],
  ["r-kv", rKv],
];

const budgets = fc.integer({ min: 1, max: 60 });

describe.each(FORMULAS)("%s", (name, formula) => {
  test("keeps what its formula keeps", () => {
    fc.assert(
      fc.property(fieldScenes, budgets, (scene, k) => {
        expect(keptBy(`${name}(${k})`, scene)).toEqual(formula(scene, k));
      }),
      { numRuns: 60 },
    );
  });
});

describe.each([...FORMULAS.map(([name]) => name), "random", "layer-window", "sink+recent", "heavy-hitter"])(
  "%s",
  (name) => {
    const withBudget = (x: number): string => {
      const resolved = resolvePolicy(name);
      const at = resolved.kind === "strategy" ? resolved.strategy.withBudget : resolved.preset.withBudget;
      const one = at?.(x);
      if (one === undefined) throw new Error(`${name} has no budget`);
      return one.text;
    };

    test("keeps no less with a greater budget", () => {
      fc.assert(
        fc.property(fieldScenes, fc.integer({ min: 1, max: 99 }), fc.integer({ min: 1, max: 99 }), (scene, a, b) => {
          const kept = (percent: number): number => keptBy(withBudget(percent / 100), scene).flat(2).length;
          expect(kept(Math.min(a, b))).toBeLessThanOrEqual(kept(Math.max(a, b)));
        }),
        { numRuns: 60 },
      );
    });

    test("has a text that means the same", () => {
      const text = withBudget(0.25);
      expect(text).toContain(name);
      const again = resolvePolicy(text);
      expect(again.kind === "strategy" ? again.strategy.text : again.preset.text).toBe(text);
    });
  },
);

test("budgets out of range, and more amounts than one, are refused", () => {
  expect(() => resolvePolicy("snapkv(120%)")).toThrow("out of range");
  expect(() => resolvePolicy("snapkv(10%, 20%)")).toThrow("snapkv takes at most 1 amount, and 2 are given");
  expect(() => resolvePolicy("kvzip(10%, 20%)")).toThrow("kvzip takes at most 1 amount, and 2 are given");
  expect(() => {
    new PolicyRegistry().register({ kind: "strategy", name: "x", needs: [], budget: 2.5, decide: () => [] });
  }).toThrow("has the budget 2.5");
});

test("a budget may be shared by any score, and by a strategy of one's own over the whole model", () => {
  const registry = new PolicyRegistry();
  registry.register(adaKv({ name: "ada-hitters", score: { op: "column", name: "mass" }, needs: ["mass"] }));
  registry.register(
    defineStrategy({
      name: "last-layer",
      scope: "model",
      needs: [],
      decide: ({ layers }) =>
        layers.map(({ heads }, l) => heads.map(() => (l === layers.length - 1 ? "full" : "none"))),
    }),
  );
  const hitters = resolvePolicy("ada-hitters(20%)", registry);
  const last = resolvePolicy("last-layer", registry);
  if (hitters.kind !== "strategy" || last.kind !== "strategy") throw new Error("no strategy");
  expect(hitters.strategy.withBudget?.(0.5).text).toBe("ada-hitters(50%)");
  expect(last.strategy.scope).toBe("model");
  expect(last.strategy.withBudget).toBeNull();
  fc.assert(
    fc.property(fieldScenes, ({ layers }) => {
      const texts = last.strategy.decideModel({ layers, recovery: null }).map((heads) => heads.map(({ text }) => text));
      expect(texts).toEqual(layers.map(({ heads }, l) => heads.map(() => (l === layers.length - 1 ? "full" : "none"))));
    }),
    { numRuns: 10 },
  );
});
