import { fileURLToPath } from "node:url";

import fc from "fast-check";
import { PolicyRegistry } from "@winnow/kv-policies";
import { SHARE_NAMES } from "@winnow/profiler";
import { loadModel, openBackend, profileReport, type Model } from "@winnow/runtime";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { cellsOf } from "../eval/cells";
import { evaluate, type EvaluateOptions } from "../eval/evaluate";
import { tasksOf } from "../eval/tasks/tasks";
import { measureLatency } from "./latency";
import { measurePolicies } from "./policies-by-layer";
import { measureProfiling } from "./profiling";
import { promptOf } from "./prompt-of";
import { measureQuality, winRate } from "./quality";
import { reproductionHtml } from "./report/html";
import { reproductionText } from "./report/text";
import { reproduce, type ReproduceOptions } from "./reproduce";
import { PARTS } from "./reproduction";
import { measureStability } from "./stability";

const DEMO = fileURLToPath(new URL("../../../../models/demo", import.meta.url));
let model: Model;

beforeAll(async () => {
  model = await loadModel(DEMO, { backend: await openBackend("cpu"), context: 320 });
});
afterAll(() => {
  model[Symbol.dispose]();
});

/** Bytes of all caches; what a session leaves behind would show here. */
const kvBytes = (): number => model.engine.backend.memory.snapshot().kv;

describe("a win rate", () => {
  test("is one half against oneself, and what one side wins the other loses", () => {
    const score = fc.integer({ min: 0, max: 3 });
    fc.assert(
      fc.property(fc.array(fc.tuple(score, score), { minLength: 1 }), (pairs) => {
        const [a, b] = [pairs.map(([x]) => x), pairs.map(([, y]) => y)];
        expect(winRate(a, a)).toBe(0.5);
        expect(winRate(a, b) + winRate(b, a)).toBeCloseTo(1, 12);
      }),
    );
  });

  test("counts a tie as half a win", () => {
    expect(winRate([1, 1, 0, 0], [0, 1, 0, 1])).toBe((1 + 0.5 + 0.5 + 0) / 4);
    expect(winRate([0.2, 0.9], [0.1, 0.1])).toBe(1);
  });
});

describe("quality", () => {
  test("is what an evaluation of the same examples says, over all tasks together", async () => {
    const options: EvaluateOptions = {
      tasks: tasksOf("needle,keys"),
      files: [],
      maxTokens: 1,
      cells: cellsOf("sink+recent", [{ target: 0.5, recovery: null }], new PolicyRegistry()),
      samples: 3,
      seed: 5,
      tokens: 60,
      kind: "held-out",
      question: "seen",
      saved: null,
    };
    const models = { whole: model, quantised: new Map() };
    const { results } = await evaluate(models, options);
    const [full, cut] = await measureQuality(models, options);
    const own = results.filter(({ policy }) => policy === "sink+recent");
    const whole = results.filter(({ policy }) => policy === "full");
    const mean = (of: readonly number[]): number => of.reduce((sum, x) => sum + x, 0) / of.length;
    expect(full).toMatchObject({ pruned: 0, win: 0.5, samples: 6 });
    expect(cut?.score).toBeCloseTo(mean(own.map(({ score }) => score)), 12);
    expect(cut?.fullScore).toBeCloseTo(mean(whole.map(({ score }) => score)), 12);
    expect(full?.score).toBe(cut?.fullScore);
    // Prompts differ in length by a token or two.
    expect(cut?.pruned).toBeCloseTo(mean(own.map(({ bytes, fullBytes }) => 1 - bytes / fullBytes)), 2);
  });
});

test("what a cut frees is told of a cache that is stored the same way", async () => {
  using quantised = await loadModel(DEMO, { backend: await openBackend("cpu"), kvType: "q8" });
  const [full] = await measureQuality(
    { whole: quantised, quantised: new Map() },
    {
      ...{ tasks: tasksOf("needle"), files: [], maxTokens: 1, samples: 1, seed: 5, tokens: 60 },
      ...{ kind: "held-out", question: "seen", saved: null },
      cells: cellsOf("full", [], new PolicyRegistry()),
    },
  );
  expect(full).toMatchObject({ pruned: 0, win: 0.5 });
});

describe("latency", () => {
  const limits = { seed: 1, seconds: 60, repeats: 1 };

  test("is of whole requests, whose caches are given back", async () => {
    const before = kvBytes();
    const [one, two] = await measureLatency(
      model,
      [
        { prompt: 40, generated: 3, batch: 1 },
        { prompt: 20, generated: 2, batch: 3 },
      ],
      limits,
    );
    for (const line of [one, two]) {
      if (line?.kind !== "measured") throw new Error("skipped");
      expect(line.full).toBeGreaterThan(0);
      expect(line.fastgen).toBeGreaterThan(0);
      expect(line.kvShare).toBeGreaterThan(0);
    }
    expect(kvBytes()).toBe(before);
  });

  test("says why a setting was not run", async () => {
    const asked = [
      { prompt: 300, generated: 21, batch: 1 },
      { prompt: 200, generated: 120, batch: 40 },
    ];
    const found = await measureLatency(model, asked, { ...limits, seconds: 0.5 });
    expect(found).toEqual([
      { ...asked[0], kind: "skipped", reason: "321 tokens, and the context holds 320" },
      { ...asked[1], kind: "skipped", reason: "more than 0.5 s" },
    ]);
    expect(kvBytes()).toBe(0);
  });

  test("of many requests, which listen to one signal, warns of none of its listeners", async () => {
    const warnings: Error[] = [];
    const warned = (warning: Error): number => warnings.push(warning);
    process.on("warning", warned);
    try {
      await measureLatency(model, [{ prompt: 20, generated: 2, batch: 12 }], limits);
      await new Promise(setImmediate);
    } finally {
      process.off("warning", warned);
    }
    expect(warnings).toEqual([]);
  });

  test("is none of a run that was interrupted", async () => {
    const setting = { prompt: 40, generated: 200, batch: 2 };
    const signal = AbortSignal.timeout(300);
    await expect(measureLatency(model, [setting], { ...limits, signal })).rejects.toMatchObject({ code: "aborted" });
    expect(kvBytes()).toBe(0);
  });
});

test("profiling is told as a share of the whole request", async () => {
  const before = kvBytes();
  const { promptTokens, profileMs, lengths } = await measureProfiling(model, { seed: 1, repeats: 1 });
  expect(promptTokens).toBe(160);
  expect(profileMs).toBeGreaterThan(0);
  expect(lengths.map(({ generated }) => generated)).toEqual([128]);
  for (const { wholeMs, share } of lengths) {
    expect(wholeMs).toBeGreaterThan(profileMs);
    expect(share).toBeGreaterThan(0);
    expect(share * wholeMs).toBeCloseTo(profileMs, 9);
  }
  expect(kvBytes()).toBe(before);
});

test("profiling is none of an answer that was interrupted", async () => {
  const signal = AbortSignal.timeout(200);
  await expect(measureProfiling(model, { seed: 1, repeats: 9, signal })).rejects.toMatchObject({ code: "aborted" });
  expect(kvBytes()).toBe(0);
});

test("a context that is too short for a prompt and what is written behind it is refused by its option", async () => {
  using short = await loadModel(DEMO, { backend: await openBackend("cpu"), context: 61 });
  await expect(measureStability(short, { seed: 1, samples: 1, recovery: 0.9 })).rejects.toThrow(
    /^prompts of 32 tokens and 30 behind them are profiled, and the context holds 61; give a longer --context/,
  );
});

describe("a prompt", () => {
  test("has exactly so many tokens, and is another one for each number", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 700 }), fc.nat(50), (tokens, number) => {
        const { ids } = promptOf(model, tokens, 1, number);
        expect(ids).toHaveLength(tokens);
        expect(promptOf(model, tokens, 1, number).ids).toEqual(ids);
        if (tokens > 60) expect(promptOf(model, tokens, 2, number).ids).not.toEqual(ids);
        if (tokens > 60) expect(promptOf(model, tokens, 1, number + 1).ids).not.toEqual(ids);
      }),
      { numRuns: 20 },
    );
  });
});

test("policies by layer are counts of what a profile of each prompt says", async () => {
  const recovery = 0.93;
  const { policies, layers } = await measurePolicies(model, { seed: 1, samples: 2, recovery });
  expect(policies.at(-1)).toBe("full");
  const counts = layers.map((shares) => shares.map((share) => share * 2 * model.config.kvHeads));
  for (const sample of [0, 1]) {
    using session = model.createSession({ policy: "fastgen", recovery });
    await session.read([{ ids: promptOf(model, 256, 1, sample).ids, probe: null }]);
    profileReport(model, session).layers.forEach(({ heads }, l) => {
      for (const { policy } of heads) {
        const row = counts[l] ?? [];
        row[policies.indexOf(policy)] = (row[policies.indexOf(policy)] ?? NaN) - 1;
      }
    });
  }
  expect(counts.flat().map((count) => Math.round(count * 1e9) / 1e9 + 0)).toEqual(counts.flat().map(() => 0));
});

test("stability is complete where nothing was generated, and bounded behind that", async () => {
  const { steps } = await measureStability(model, { seed: 1, samples: 1, recovery: 0.95 });
  expect(steps.map(({ generated }) => generated)).toEqual([0, 10, 20, 30]);
  expect(steps[0]).toMatchObject({ same: 1, moved: 0, lateMoved: 0 });
  for (const { heads, same, moved, lateMoved } of steps) {
    for (const share of [same, moved, lateMoved]) {
      expect(share).toBeGreaterThanOrEqual(0);
      expect(share).toBeLessThanOrEqual(1);
    }
    for (const shares of heads.flat())
      expect(SHARE_NAMES.reduce((sum, name) => sum + (shares?.[name] ?? NaN), 0)).toBeCloseTo(1, 6);
  }
  // Behind a prompt of 256 tokens, 30 rows are most of the latest and few of all.
  const last = steps.at(-1);
  expect(last?.lateMoved).toBeGreaterThan(last?.moved ?? NaN);
});

describe("a reproduction", () => {
  const options: ReproduceOptions = {
    parts: PARTS,
    tasks: tasksOf("needle"),
    seed: 1,
    samples: 1,
    tokens: 60,
    question: "seen",
    recovery: 0.95,
    latency: [
      { prompt: 32, generated: 4, batch: 1 },
      { prompt: 4096, generated: 4096, batch: 2 },
    ],
    seconds: 60,
    repeats: 1,
  };

  test("tells every table and figure once, in the paper's order, as text and as a page", async () => {
    const steps: number[] = [];
    const found = await reproduce(model, {
      ...options,
      onProgress: (done, total) => steps.push(done / total),
    });
    expect(steps.at(-1)).toBe(1);
    const text = reproductionText(found);
    const titles = [...text.matchAll(/^(Table|Figure) (\d)/gm)].map(([, kind = "", number = ""]) => kind + number);
    expect(titles).toEqual(["Table1", "Table2", "Table3", "Table4", "Table5", "Figure3", "Figure4", "Figure6"]);
    const html = reproductionHtml({ ...found, model: "<b>&" });
    expect(html).toContain("&lt;b&gt;&amp;");
    expect(html).not.toContain("<b>&");
    expect(html).not.toMatch(/NaN|undefined|https?:\/\/(?!www\.w3\.org)/);
    expect(text).not.toMatch(/NaN|undefined/);
    expect(kvBytes()).toBe(0);
  });

  test("measures nothing that was not asked for", async () => {
    const found = await reproduce(model, { ...options, parts: ["figure3"] });
    expect(found).toMatchObject({ quality: null, latency: null, profiling: null, stability: null });
    expect(found.policies).not.toBeNull();
  });
});
