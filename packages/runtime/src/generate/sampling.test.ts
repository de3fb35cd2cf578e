import type { SamplingParams } from "@winnow/core-tensor";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { failureOf } from "../files/testing/failure";
import { loadModel, type Model } from "../model";
import { idsPart } from "../prompt/parts";
import { DEMO, TINY } from "../testing/models";
import { resolveSampling, type SamplingOptions } from "./sampling";

const PLAIN: SamplingParams = { temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, seed: 0 };
const PROMPT = [0, 40, 50, 60, 40];

/** Half of the smaller model's vocabulary. */
const LONG_PROMPT = Array.from({ length: 160 }, (_, i) => 2 * i);

/** A token that was drawn, and the logits that it was drawn from. */
interface Draw {
  readonly id: number;
  readonly logProbability: number;
  readonly logits: readonly number[];
  readonly seen: ReadonlySet<number>;
}

interface Chance {
  readonly id: number;
  readonly probability: number;
}

let demo: Model;
let tiny: Model;

beforeAll(async () => {
  [demo, tiny] = await Promise.all([loadModel(DEMO), loadModel(TINY)]);
});

afterAll(() => {
  demo[Symbol.dispose]();
  tiny[Symbol.dispose]();
});

function softmax(logits: readonly number[]): number[] {
  const top = Math.max(...logits);
  const weights = logits.map((logit) => Math.exp(logit - top));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

/** What may be drawn, the likeliest first: penalty, temperature, top-k, top-p and min-p in float64. */
function distribution({ logits, seen }: Pick<Draw, "logits" | "seen">, params: SamplingParams): Chance[] {
  const penalised = logits.map((logit, id) => {
    if (!seen.has(id)) return logit;
    return logit > 0 ? logit / params.repetitionPenalty : logit * params.repetitionPenalty;
  });
  const ranked = softmax(penalised.map((logit) => logit / params.temperature))
    .map((probability, id) => ({ id, probability }))
    .sort((a, b) => b.probability - a.probability || a.id - b.id)
    .slice(0, params.topK === 0 ? undefined : params.topK);
  const total = ranked.reduce((sum, { probability }) => sum + probability, 0);
  let before = 0;
  const nucleus = ranked.filter(({ probability }) => {
    const within = before < params.topP * total;
    before += probability;
    return within;
  });
  const left = nucleus.filter(({ probability }) => probability >= params.minP * (nucleus[0]?.probability ?? 0));
  const mass = left.reduce((sum, { probability }) => sum + probability, 0);
  return left.map(({ id, probability }) => ({ id, probability: probability / mass }));
}

async function drawTokens(
  model: Model,
  count: number,
  options: SamplingOptions,
  prompt: readonly number[] = PROMPT,
): Promise<Draw[]> {
  using session = model.createSession({ policy: "full" });
  const draws: Draw[] = [];
  const seen = [...prompt];
  const parts = [idsPart(model.tokenizer, prompt)];
  for await (const event of session.generate(parts, { ...options, maxTokens: count, ignoreEos: true })) {
    if (event.kind !== "token") continue;
    const { id, logProbability } = event;
    const logits = [...(await model.engine.backend.download(session.sequence.logits))];
    draws.push({ id, logProbability, logits, seen: new Set(seen) });
    seen.push(id);
  }
  return draws;
}

interface Cell {
  readonly expected: number;
  readonly found: number;
}

/** A loose chi-square test; neighbours of which little is expected are taken together. */
function expectFrequencies(cells: readonly Cell[]): void {
  const pooled: Cell[] = [];
  let open: Cell = { expected: 0, found: 0 };
  for (const { expected, found } of cells) {
    open = { expected: open.expected + expected, found: open.found + found };
    if (open.expected < 10) continue;
    pooled.push(open);
    open = { expected: 0, found: 0 };
  }
  const chiSquare = pooled.reduce((sum, { expected, found }) => sum + (found - expected) ** 2 / expected, 0);
  expect(pooled.length).toBeGreaterThan(1);
  expect(chiSquare).toBeLessThan(pooled.length + 4 * Math.sqrt(2 * pooled.length));
}

const SETTINGS: readonly [string, Partial<SamplingParams>][] = [
  ["nothing but the logits", {}],
  ["a low temperature", { temperature: 0.4 }],
  ["a high temperature", { temperature: 2.5 }],
  ["top-k", { topK: 6 }],
  ["top-p", { topP: 0.5 }],
  ["min-p", { minP: 0.35 }],
  ["a repetition penalty", { repetitionPenalty: 3 }],
  ["all of them", { temperature: 1.4, topK: 60, topP: 0.8, minP: 0.1, repetitionPenalty: 1.3 }],
];

describe.each(SETTINGS)("drawing with %s", (_, setting) => {
  const params: SamplingParams = { ...PLAIN, ...setting };

  it("gives each token its share at one place, over many seeds", async () => {
    const counts = new Map<number, number>();
    const draws = 400;
    let chances: Chance[] = [];
    for (let seed = 0; seed < draws; seed++) {
      const [draw] = await drawTokens(tiny, 1, { ...params, seed });
      if (draw === undefined) throw new Error("no token was drawn");
      chances = distribution(draw, params);
      counts.set(draw.id, (counts.get(draw.id) ?? 0) + 1);
    }
    const support = new Set(chances.map(({ id }) => id));
    expect([...counts.keys()].filter((id) => !support.has(id))).toEqual([]);
    if (support.size <= 10) expect(counts.size).toBe(support.size);
    expectFrequencies(
      chances.map(({ id, probability }) => ({ expected: draws * probability, found: counts.get(id) ?? 0 })),
    );
  });

  it("gives each rank its share along one answer", async () => {
    const cells = new Map<number, { expected: number; found: number }>();
    for (const draw of await drawTokens(tiny, 500, { ...params, seed: 11 }, LONG_PROMPT)) {
      const chances = distribution(draw, params);
      expect(chances.map(({ id }) => id)).toContain(draw.id);
      for (const [rank, { id, probability }] of chances.entries()) {
        const cell = cells.get(rank) ?? { expected: 0, found: 0 };
        cell.expected += probability;
        if (id === draw.id) cell.found++;
        cells.set(rank, cell);
      }
    }
    expectFrequencies([...cells.values()]);
  });
});

describe("drawing", () => {
  it("tells the log-probability of a token before anything is filtered", async () => {
    const options = { temperature: 1.7, topK: 9, topP: 0.9, repetitionPenalty: 1.5, seed: 3 };
    for (const { id, logits, logProbability } of await drawTokens(tiny, 40, options)) {
      expect(logProbability).toBeCloseTo(Math.log(softmax(logits)[id] ?? NaN), 4);
    }
  });

  it("takes the greatest logit at temperature 0, whatever else is asked for", async () => {
    const filters = { topK: 7, topP: 0.3, minP: 0.2, seed: 5 };
    for (const model of [demo, tiny]) {
      const draws = await drawTokens(model, 40, { temperature: 0, ...filters });
      for (const { id, logits } of draws) expect(logits[id]).toBe(Math.max(...logits));
      expect(await drawTokens(model, 40, { temperature: 0 })).toEqual(draws);
    }
  });

  it("takes the greatest logit where a filter leaves no other", async () => {
    const ids = async (options: SamplingOptions): Promise<number[]> =>
      (await drawTokens(tiny, 40, options)).map(({ id }) => id);
    const greedy = await ids({ temperature: 0 });
    for (const filter of [{ topK: 1 }, { topP: 1e-6 }, { minP: 0.999999 }, { temperature: 1e-6 }]) {
      expect(await ids({ ...PLAIN, ...filter, seed: 9 })).toEqual(greedy);
    }
  });

  it("lets no token of the prompt or the answer come again under a great penalty", async () => {
    const draws = await drawTokens(tiny, 60, { temperature: 0, repetitionPenalty: 1e6 });
    for (const { id, seen } of draws) expect(seen.has(id)).toBe(false);
    expect(draws).toHaveLength(60);
  });

  it("draws the same tokens with the same seed, and others with another", async () => {
    const ids = async (seed: number): Promise<string> =>
      (await drawTokens(tiny, 30, { ...PLAIN, seed })).map(({ id }) => id).join();
    expect(await ids(7)).toBe(await ids(7));
    expect(new Set([await ids(7), await ids(8), await ids(0), await ids(0xffffffff)]).size).toBe(4);
  });

  it("is as the model's own configuration says where a request says nothing", async () => {
    const own = { temperature: 0.8, topK: 40, topP: 0.95, minP: 0, repetitionPenalty: 1, seed: 0 };
    expect(await drawTokens(tiny, 30, {})).toEqual(await drawTokens(tiny, 30, own));
    expect(await drawTokens(tiny, 30, { temperature: undefined })).toEqual(await drawTokens(tiny, 30, own));
    expect(await drawTokens(demo, 30, {})).toEqual(await drawTokens(demo, 30, { temperature: 0 }));
  });
});

const OUT_OF_RANGE: readonly [keyof SamplingParams, readonly number[]][] = [
  ["temperature", [-0.1, NaN, Infinity]],
  ["topK", [-1, 1.5, NaN, Infinity]],
  ["topP", [0, -0.5, 1.01, NaN]],
  ["minP", [-0.1, 1, NaN]],
  ["repetitionPenalty", [0, -1, Infinity, NaN]],
  ["seed", [-1, 0.5, 2 ** 32, NaN]],
];

describe.each(OUT_OF_RANGE)("%s", (name, values) => {
  it.each(values)("cannot be %d, and a session that was asked to goes on", async (value) => {
    expect(await failureOf(() => resolveSampling({ [name]: value }, PLAIN))).toMatchObject({ code: "usage" });
    using session = tiny.createSession({ policy: "full" });
    const parts = [idsPart(tiny.tokenizer, PROMPT)];
    const error = await failureOf(() => session.generate(parts, { maxTokens: 2, [name]: value }).report());
    expect(error.code).toBe("usage");
    expect(error.message.startsWith(`${name} is ${value}; expected `)).toBe(true);
    expect(session.tokens).toEqual([]);
    expect((await session.generate(parts, { maxTokens: 2 }).report()).tokens).toHaveLength(2);
  });
});

it("options at the ends of their ranges are taken as they are", () => {
  const least = { temperature: 0, topK: 0, topP: Number.MIN_VALUE, minP: 0, repetitionPenalty: 1e-3, seed: 0 };
  const greatest = { temperature: 1e9, topK: 1e9, topP: 1, minP: 0.999, repetitionPenalty: 1e9, seed: 0xffffffff };
  expect(resolveSampling(least, PLAIN)).toEqual(least);
  expect(resolveSampling(greatest, PLAIN)).toEqual(greatest);
  expect(resolveSampling({}, greatest)).toEqual(greatest);
});
