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

describe("latency", () => {
  const limits = { seconds: 60, repeats: 1 };

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
      { prompt: 300, generated: 20, batch: 4000 },
    ];
    const [long, slow] = await measureLatency(model, asked, { ...limits, seconds: 1 });
    expect(long).toEqual({ ...asked[0], kind: "skipped", reason: "321 tokens, and the context holds 320" });
    expect(slow).toMatchObject({ kind: "skipped" });
    expect(slow?.kind === "skipped" && slow.reason).toMatch(/^some \d+ s, and a run may take 1 s$/);
  });
});

test("profiling is told as a share of the whole request", async () => {
  const before = kvBytes();
  const { promptTokens, profileMs, lengths } = await measureProfiling(model, { repeats: 1 });
  expect(promptTokens).toBe(160);
  expect(profileMs).toBeGreaterThan(0);
  expect(lengths.map(({ generated }) => generated)).toEqual([128]);
  for (const { wholeMs, share } of lengths) expect(share).toBe(profileMs / wholeMs);
  expect(kvBytes()).toBe(before);
});

describe("a prompt", () => {
  test("has exactly so many tokens, and is another one for each number", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 700 }), fc.nat(50), (tokens, number) => {
        const { ids } = promptOf(model, tokens, number);
        expect(ids).toHaveLength(tokens);
        expect(promptOf(model, tokens, number).ids).toEqual(ids);
        if (tokens > 60) expect(promptOf(model, tokens, number + 1).ids).not.toEqual(ids);
      }),
      { numRuns: 20 },
    );
  });
});

test("policies by layer are counts of what a profile of each prompt says", async () => {
  const recovery = 0.93;
  const { policies, layers } = await measurePolicies(model, { samples: 2, recovery });
  expect(policies.at(-1)).toBe("full");
  const counts = layers.map((shares) => shares.map((share) => share * 2 * model.config.kvHeads));
  for (const sample of [0, 1]) {
    using session = model.createSession({ policy: "fastgen", recovery });
    await session.read([{ ids: promptOf(model, 256, sample).ids, probe: null }]);
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
  const { steps } = await measureStability(model, { samples: 1, recovery: 0.95 });
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
