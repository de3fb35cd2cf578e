import { formatPlan, parsePlan, type HeadPlan, type ModelFingerprint } from "@winnow/profiler";
import { PolicyRegistry, definePolicy } from "@winnow/kv-policies";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { failureOf } from "../files/testing/failure";
import type { GenerationReport } from "../generate/report";
import { loadModel, type Model } from "../model";
import { textPart } from "../prompt/parts";
import { DEMO, TINY } from "../testing/models";
import type { Session } from "./session";
import type { SessionOptions } from "./session-options";

const TEXT =
  "Mira keeps the red key in the barn. Tom is 31 years old. The weather in Arlen was sunny that day, and so was Mira. " +
  "Ada found the blue shell on the beach. She is 9 years old. Where is the red key? It is in the barn, said Tom.";
const OTHER =
  "Once upon a time, there was a small cat. It was 3 years old, and it lived by the sea with Nina and Paul.";
const GENERATE = { maxTokens: 14, ignoreEos: true, temperature: 0 };

let demo: Model;
let tiny: Model;

beforeAll(async () => {
  [demo, tiny] = await Promise.all([loadModel(DEMO), loadModel(TINY)]);
});

afterAll(() => {
  demo[Symbol.dispose]();
  tiny[Symbol.dispose]();
});

/** What a session has found for each head, by way of the text of a file. */
function planOf(model: Model, { sequence, settings }: Session): HeadPlan {
  const { text, rows, generated } = settings.policy;
  const { plan } = sequence.report();
  const heads = plan.map((layer) => [...layer]);
  return parsePlan(
    formatPlan({ model: model.fingerprint, policy: text, recovery: settings.recovery, rows, generated, heads }),
  );
}

async function profile(
  model: Model,
  options: SessionOptions,
): Promise<{ readonly plan: HeadPlan; readonly report: GenerationReport }> {
  using session = model.createSession(options);
  await session.read([textPart(model.tokenizer, TEXT, true)]);
  const plan = planOf(model, session);
  using again = model.createSession(options);
  return { plan, report: await again.generate([textPart(model.tokenizer, TEXT, true)], GENERATE).report() };
}

async function follow(model: Model, options: SessionOptions, text = TEXT): Promise<GenerationReport> {
  using session = model.createSession(options);
  return await session.generate([textPart(model.tokenizer, text, true)], GENERATE).report();
}

const FOUND: readonly SessionOptions[] = [
  { policy: "fastgen", recovery: 0.9, interval: 1 },
  { policy: "adaptive", recovery: 0.8, rows: "prompt" },
  { policy: "heavy-hitter", interval: 4 },
  { policy: "sink(4) | recent(8)", interval: 1 },
  { policy: "full" },
];

describe.each(FOUND)("a plan found with $policy", (options) => {
  it("keeps the same slots when it is followed, and the answer is the same", async () => {
    for (const model of [demo, tiny]) {
      const { plan, report: found } = await profile(model, options);
      const followed = await follow(model, { plan, interval: options.interval });
      expect(followed.kv.plan).toEqual(found.kv.plan);
      expect(followed.kv.kept).toEqual(found.kv.kept);
      expect(followed.kv.slots).toEqual(found.kv.slots);
      expect(followed.kv.bytes).toBe(found.kv.bytes);
      expect(followed.tokens).toEqual(found.tokens);
    }
  });
});

const PROFILED: readonly SessionOptions[] = [...FOUND, { policy: "adaptive" }, { policy: "fastgen", rows: "late" }];

it.each(PROFILED)(
  "a plan found with $policy measures nothing when it is followed, whatever the prompt",
  async (options) => {
    const { plan } = await profile(tiny, options);
    const report = await follow(tiny, { plan }, OTHER);
    expect(report.kv.plan).toEqual(plan.heads);
    expect(report).toMatchObject({ policy: `plan(${plan.policy})`, recovery: null, rows: { source: "none" } });
    expect(report.timings.profileMs).toBe(0);
    for (const [l, layer] of plan.heads.entries()) {
      expect(report.kv.recovery[l]).toEqual(layer.map((policy) => (policy === "full" ? 1 : null)));
    }
  },
);

/** A plan with the same policy for every head. */
function uniform(model: Model, policy: string, changes: Partial<HeadPlan> = {}): HeadPlan {
  const { layers, kvHeads } = model.config;
  return {
    format: "winnow-head-plan",
    version: 1,
    model: model.fingerprint,
    policy: "by hand",
    recovery: null,
    rows: "prompt",
    generated: "sweep",
    heads: Array.from({ length: layers }, () => new Array<string>(kvHeads).fill(policy)),
    ...changes,
  };
}

describe("a plan written by hand", () => {
  const length = (model: Model): number => model.tokenizer.encode(TEXT).length;

  it("gives each head what it says", async () => {
    const text = (l: number, h: number): string => `sink(${l + 1}) | recent(${2 * h + 1})`;
    for (const model of [demo, tiny]) {
      const { layers, kvHeads } = model.config;
      const each = <T>(cell: (l: number, h: number) => T): T[][] =>
        Array.from({ length: layers }, (_, l) => Array.from({ length: kvHeads }, (_, h) => cell(l, h)));
      const plan = uniform(model, "none", { heads: each(text) });
      const swept = await follow(model, { plan, interval: 1 });
      expect(swept.kv.kept).toEqual(each((l, h) => l + 2 * h + 2));
      expect(swept.kv.slots).toEqual(each((l, h) => l + 2 * h + 2));
      const kept = await follow(model, { plan: { ...plan, generated: "keep" }, interval: 1 });
      expect(kept.kv.slots).toEqual(each((l, h) => l + 2 * h + 2 + GENERATE.maxTokens - 1));
    }
  });

  it("may name policies of plug-ins, by their registry", async () => {
    const registry = new PolicyRegistry();
    registry.register(definePolicy({ name: "edges", build: () => "sink(4) | recent(4)" }));
    const plan = uniform(tiny, "edges");
    expect(new Set((await follow(tiny, { plan, registry })).kv.kept.flat())).toEqual(new Set([8]));
    expect(() => tiny.createSession({ plan })).toThrow(/edges/);
  });

  it("names the head whose policy cannot be used", async () => {
    const heads = uniform(tiny, "full").heads.map((layer, l) =>
      layer.map((text, h) => (l === 1 && h === 0 ? "nope" : text)),
    );
    const error = await failureOf(() => tiny.createSession({ plan: uniform(tiny, "full", { heads }) }));
    expect(error.code).toBe("plan");
    expect(error.message).toMatch(/^the plan's policy for head 0 of layer 1 cannot be used: .*"nope"/);
  });

  it("takes ratios of the prompt that it is given", async () => {
    const report = await follow(demo, { plan: uniform(demo, "recent(50%)") });
    expect(new Set(report.kv.kept.flat())).toEqual(new Set([Math.ceil(length(demo) / 2)]));
  });

  it("is for the whole cache: no policy and no recovery beside it", async () => {
    const plan = uniform(tiny, "full");
    expect(await failureOf(() => tiny.createSession({ plan, policy: "full" }))).toMatchObject({ code: "usage" });
    expect(await failureOf(() => tiny.createSession({ plan, recovery: 0.9 }))).toMatchObject({ code: "usage" });
  });
});

describe("a plan for another model", () => {
  const FIELDS: readonly (keyof ModelFingerprint)[] = [
    "layers",
    "queryHeads",
    "kvHeads",
    "headDim",
    "vocabularySize",
    "tokenizer",
  ];

  it("is refused, naming what differs in both", async () => {
    const before = tiny.engine.backend.memory.snapshot();
    for (const [model, other] of [
      [tiny, demo],
      [demo, tiny],
    ] as const) {
      const error = await failureOf(() => model.createSession({ plan: uniform(other, "full") }));
      expect(error.code).toBe("plan");
      expect(error.message).toContain(
        `its layers is ${other.config.layers}, and this model's is ${model.config.layers}`,
      );
    }
    expect(tiny.engine.backend.memory.snapshot()).toEqual(before);
  });

  it.each(FIELDS)("is refused for its %s alone, naming both fingerprints' values", async (field) => {
    const own = tiny.fingerprint;
    const fingerprint = { ...own, [field]: demo.fingerprint[field] };
    const plan = uniform(tiny, "full", { model: fingerprint });
    const error = await failureOf(() => tiny.createSession({ plan }));
    expect(error.code).toBe("plan");
    expect(error.message).toContain(`its ${field} is ${demo.fingerprint[field]}, and this model's is ${own[field]}`);
  });

  it("is refused where it has too few heads for its own fingerprint", async () => {
    const { heads } = uniform(tiny, "full");
    for (const fewer of [heads.slice(1), heads.map((layer) => layer.slice(1)), []]) {
      expect(
        await failureOf(() => tiny.createSession({ plan: uniform(tiny, "full", { heads: fewer }) })),
      ).toMatchObject({
        code: "plan",
      });
    }
  });
});
