import {
  PolicyRegistry,
  count,
  definePolicy,
  defineStatistic,
  defineStrategy,
  type HeadView,
  type LayerView,
  type Plugin,
} from "@winnow/kv-policies";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";

import { failureOf } from "../files/testing/failure";
import type { GenerationReport } from "../generate/report";
import { loadModel, type Model } from "../model";
import { DEMO, TINY } from "../testing/models";
import type { Session } from "./session";
import type { SessionOptions } from "./session-options";

const LENGTH = 60;
const GENERATE = { maxTokens: 10, ignoreEos: true, temperature: 0 };

/** A prompt in which every token is there once. */
const PART = { ids: Array.from({ length: LENGTH }, (_, i) => 20 + 4 * i), probe: null };

let demo: Model;
let tiny: Model;

beforeAll(async () => {
  [demo, tiny] = await Promise.all([loadModel(DEMO), loadModel(TINY)]);
});

afterAll(() => {
  demo[Symbol.dispose]();
  tiny[Symbol.dispose]();
});

beforeEach(() => {
  vi.spyOn(process, "emitWarning").mockImplementation(() => {});
});

afterEach(() => {
  vi.restoreAllMocks();
});

function registryOf(...plugins: Plugin[]): PolicyRegistry {
  const registry = new PolicyRegistry();
  for (const plugin of plugins) registry.register(plugin);
  return registry;
}

async function run(model: Model, settings: SessionOptions): Promise<GenerationReport> {
  using session = model.createSession(settings);
  return await session.generate([PART], GENERATE).report();
}

/** A number for every head of a model. */
function everywhere(model: Model, count: (layer: number, head: number) => number): number[][] {
  const { layers, kvHeads } = model.config;
  return Array.from({ length: layers }, (_, l) => Array.from({ length: kvHeads }, (_, h) => count(l, h)));
}

/** Two policies are one if what is kept, drawn and stored is the same. */
async function expectSame(model: Model, own: SessionOptions, plain: SessionOptions): Promise<GenerationReport> {
  const found = await run(model, own);
  const expected = await run(model, plain);
  expect(found.tokens).toEqual(expected.tokens);
  expect(found.kv.kept).toEqual(expected.kv.kept);
  expect(found.kv.slots).toEqual(expected.kv.slots);
  return found;
}

describe("a policy of one's own", () => {
  const edges = definePolicy({ name: "edges", build: (window = count(2)) => `sink(4) | recent(${String(window)})` });

  it("is the expression that it builds", async () => {
    const registry = registryOf(edges);
    for (const model of [demo, tiny]) {
      const own = { policy: "edges(8)", registry, interval: 1 };
      const { kv } = await expectSame(model, own, { policy: "sink(4) | recent(8)", interval: 1 });
      expect(kv.kept).toEqual(everywhere(model, () => 12));
      expect(kv.slots).toEqual(everywhere(model, () => 12));
      expect(new Set(kv.plan.flat())).toEqual(new Set(["sink(4) | recent(8)"]));
    }
    expect((await run(tiny, { policy: "edges | every(10)", registry })).kv.kept).toEqual(
      everywhere(tiny, () => 4 + 2 + 5),
    );
  });

  it("may be a preset, of which each head takes what keeps enough", async () => {
    const ladder = definePolicy({ name: "ladder", threshold: 0.5, candidates: () => ["none", "full"] });
    const registry = registryOf(ladder);
    const { kv } = await run(demo, { policy: "ladder", registry });
    expect(kv.kept).toEqual(everywhere(demo, () => LENGTH));
    expect(kv.recovery).toEqual(everywhere(demo, () => 1));
    const either = definePolicy({ name: "either", candidates: () => ["full", "none"] });
    expect((await run(demo, { policy: "either", registry: registryOf(either) })).kv.kept).toEqual(
      everywhere(demo, () => LENGTH),
    );
  });

  it("says whether later tokens are swept", async () => {
    for (const [generated, expected] of [
      ["sweep", 8],
      ["keep", 8 + 9],
    ] as const) {
      const registry = registryOf(definePolicy({ name: "window", generated, candidates: () => ["recent(8)"] }));
      const { kv, policy, recovery } = await run(tiny, { policy: "window", registry, interval: 1 });
      expect({ policy, recovery }).toEqual({ policy: "window", recovery: null });
      expect(kv.kept).toEqual(everywhere(tiny, () => 8));
      expect(kv.slots).toEqual(everywhere(tiny, () => expected));
    }
  });
});

describe("a statistic of one's own", () => {
  it("that is an expression ranks as the expression does", async () => {
    const registry = registryOf(
      defineStatistic({ name: "late", expr: "position * 2 + 1" }),
      defineStatistic({ name: "density", expr: "mass / valueNorm" }),
      defineStatistic({ name: "denser", expr: "2 * density" }),
    );
    for (const model of [demo, tiny]) {
      await expectSame(model, { policy: "top(late, 5)", registry, interval: 1 }, { policy: "recent(5)", interval: 1 });
      const plain = { policy: "top(mass / valueNorm, 11)", interval: 1 };
      const { kv } = await expectSame(model, { policy: "top(density, 11)", registry, interval: 1 }, plain);
      expect(kv.slots).toEqual(everywhere(model, () => 11));
      await expectSame(model, { policy: "top(denser, 11)", registry, interval: 1 }, plain);
    }
  });

  it("that is a function ranks as the same expression does", async () => {
    const registry = registryOf(
      defineStatistic({
        name: "early",
        needs: [],
        compute: ({ position }) => Float32Array.from(position, (at) => -at),
      }),
      defineStatistic({
        name: "shortKey",
        needs: ["keyNorm"],
        compute: ({ columns }) => (columns.keyNorm ?? new Float32Array(0)).map((norm) => -norm),
      }),
    );
    for (const model of [demo, tiny]) {
      await expectSame(model, { policy: "top(early, 5)", registry, interval: 1 }, { policy: "sink(5)", interval: 1 });
      await expectSame(
        model,
        { policy: "top(shortKey, 9) | recent(2)", registry, interval: 3 },
        { policy: "top(-keyNorm, 9) | recent(2)", interval: 3 },
      );
    }
  });

  it("that is a function sees every head with what it asked for, and is warned of once a session", async () => {
    const seen: HeadView[] = [];
    const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    const unnoticed = defineStatistic({
      name: "unnoticed",
      needs: ["mass", "keyNorm"],
      compute: (head) => {
        seen.push(head);
        return (head.columns.mass ?? new Float32Array(0)).map((mass) => -mass);
      },
    });
    const fixed = (name: string, policy: string): Plugin =>
      definePolicy({ name, generated: "keep", candidates: () => [policy] });
    const registry = registryOf(unnoticed, fixed("own", "top(unnoticed, 9)"), fixed("plain", "top(-mass, 9)"));
    for (const model of [demo, tiny]) {
      seen.length = 0;
      warn.mockClear();
      const { kv } = await expectSame(model, { policy: "own", registry }, { policy: "plain", registry });
      expect(kv.kept).toEqual(everywhere(model, () => 9));
      expect(warn.mock.calls.map(([warning]) => String(warning))).toEqual([
        'the statistic "unnoticed" is computed on the host: its columns are downloaded at every cut',
      ]);
      const { layers, kvHeads, queryHeads } = model.config;
      expect(seen.map(({ row }) => row)).toEqual(Array.from({ length: layers * kvHeads }, (_, row) => row));
      for (const head of seen) {
        expect(head).toMatchObject({ count: LENGTH, now: LENGTH - 1, promptTokens: LENGTH, length: LENGTH });
        expect([...head.position]).toEqual(Array.from({ length: LENGTH }, (_, i) => i));
        expect(Object.keys(head.columns).sort()).toEqual(["keyNorm", "mass"]);
        const mass = [...(head.columns.mass ?? [])].reduce((sum, share) => sum + share, 0);
        expect(mass).toBeCloseTo((LENGTH * queryHeads) / kvHeads, 2);
      }
    }
  });

  it("that is a function sees at every sweep what it asked for", async () => {
    const bigger = defineStatistic({
      name: "bigger",
      needs: ["mass"],
      compute: ({ columns }) => (columns.mass ?? new Float32Array(0)).map((mass) => -mass),
    });
    await expectSame(
      tiny,
      { policy: "top(bigger, 9) | recent(2)", interval: 3, registry: registryOf(bigger) },
      { policy: "top(-mass, 9) | recent(2)", interval: 3 },
    );
  });

  it("may limit another policy", async () => {
    const registry = registryOf(defineStatistic({ name: "late", expr: "position" }));
    const { kv } = await expectSame(
      tiny,
      { policy: "limit(every(2), 7, by late)", registry },
      { policy: "every(2) & recent(14)" },
    );
    expect(kv.kept).toEqual(everywhere(tiny, () => 7));
  });
});

describe("a strategy of one's own", () => {
  it("decides for each head of each layer", async () => {
    const stripes = defineStrategy({
      name: "stripes",
      needs: [],
      decide: ({ layer, heads }) => heads.map((_, h) => `every(${layer + 2}, ${h % (layer + 2)})`),
    });
    for (const model of [demo, tiny]) {
      const report = await run(model, { policy: "stripes", registry: registryOf(stripes), interval: 1 });
      const among = (length: number) => (l: number, h: number) =>
        Array.from({ length }, (_, p) => p).filter((p) => p % (l + 2) === h % (l + 2)).length;
      expect(report.policy).toBe("stripes");
      expect(report.kv.kept).toEqual(everywhere(model, among(LENGTH)));
      expect(report.kv.slots).toEqual(everywhere(model, among(LENGTH + 9)));
      expect(report.kv.plan[1]?.[1]).toBe("every(3, 1)");
    }
  });

  it("sees what was asked for, and what its heads received", async () => {
    const seen: LayerView[] = [];
    const watching = defineStrategy({
      name: "watching",
      needs: ["mass"],
      decide: (view) => {
        seen.push(view);
        return view.heads.map(() => "full");
      },
    });
    for (const model of [demo, tiny]) {
      seen.length = 0;
      const { kv } = await run(model, { policy: "watching", recovery: 0.75, registry: registryOf(watching) });
      expect(kv.kept).toEqual(everywhere(model, () => LENGTH));
      const { layers, kvHeads, queryHeads } = model.config;
      expect(seen.map(({ layer, recovery }) => ({ layer, recovery }))).toEqual(
        Array.from({ length: layers }, (_, layer) => ({ layer, recovery: 0.75 })),
      );
      for (const { layer, heads } of seen) {
        expect(heads.map(({ row }) => row)).toEqual(heads.map((_, h) => layer * kvHeads + h));
        for (const { columns } of heads) {
          const mass = [...(columns.mass ?? [])].reduce((sum, share) => sum + share, 0);
          expect(mass).toBeCloseTo((LENGTH * queryHeads) / kvHeads, 2);
        }
      }
    }
  });
});

interface Failing {
  readonly what: string;
  readonly policy: string;
  readonly message: RegExp;
  /** The plug-in, which fails as long as it is told to. */
  readonly plugin: (broken: () => boolean) => Plugin;
}

const REASON = new Error("out of order");

const FAILING: readonly Failing[] = [
  {
    what: "a statistic that throws",
    policy: "top(sums, 9)",
    message: /^the statistic plug-in "sums": compute threw "out of order"$/,
    plugin: (broken) =>
      defineStatistic({
        name: "sums",
        needs: ["mass"],
        compute: ({ count }) => {
          if (broken()) throw REASON;
          return new Float32Array(count);
        },
      }),
  },
  {
    what: "a statistic that gives too few values",
    policy: "top(few, 9)",
    message: /^the statistic plug-in "few": compute gave 3 values; expected .* each of 60 slots$/,
    plugin: (broken) =>
      defineStatistic({ name: "few", needs: [], compute: ({ count }) => new Float32Array(broken() ? 3 : count) }),
  },
  {
    what: "a strategy that throws in a later layer",
    policy: "moody",
    message: /^the strategy plug-in "moody": decide\(layer 1\) threw "out of order"$/,
    plugin: (broken) =>
      defineStrategy({
        name: "moody",
        needs: ["mass"],
        decide: ({ layer, heads }) => {
          if (layer === 1 && broken()) throw REASON;
          return heads.map(() => "recent(9)");
        },
      }),
  },
  {
    what: "a strategy that forgets a head",
    policy: "forgetful",
    message:
      /^the strategy plug-in "forgetful": decide\(layer 0\) gave an array of 1; expected an array of \d policies/,
    plugin: (broken) =>
      defineStrategy({
        name: "forgetful",
        needs: [],
        decide: ({ heads }) => heads.slice(0, broken() ? 1 : undefined).map(() => "recent(9)"),
      }),
  },
  {
    what: "a strategy that names a policy there is not",
    policy: "dreaming",
    message: /^the strategy plug-in "dreaming": decide\(layer 0\), head 0, gave a text that is no policy: /,
    plugin: (broken) =>
      defineStrategy({
        name: "dreaming",
        needs: [],
        decide: ({ heads }) => heads.map(() => (broken() ? "recnt(9)" : "recent(9)")),
      }),
  },
];

describe.each(FAILING)("$what", ({ policy, message, plugin }) => {
  it("ends in an error that names it, and the session goes on once it is mended", async () => {
    for (const model of [demo, tiny]) {
      let broken = true;
      const registry = registryOf(plugin(() => broken));
      const pages = model.engine.store.livePages;
      const bytes = model.engine.backend.memory.snapshot().total;
      const session = model.createSession({ policy, registry });
      const error = await failureOf(() => session.generate([PART], GENERATE).report());
      expect(error.code).toBe("plugin");
      expect(error.message).toMatch(message);
      if (error.message.includes("threw")) expect(error.cause).toBe(REASON);
      expect(await failureOf(() => session.read([PART]))).toMatchObject({ code: "plugin" });
      expect(session.tokens).toEqual([]);
      broken = false;
      const mended = await session.generate([PART], GENERATE).report();
      const fresh = await run(model, { policy, registry });
      expect(mended.tokens).toEqual(fresh.tokens);
      expect(mended.kv.slots).toEqual(fresh.kv.slots);
      expect(mended.kv.bytes).toBe(fresh.kv.bytes);
      session[Symbol.dispose]();
      expect(model.engine.store.livePages).toBe(pages);
      expect(model.engine.backend.memory.snapshot().total).toBe(bytes);
    }
  });

  it("does nothing to another session of the model", async () => {
    const registry = registryOf(plugin(() => true));
    const expected = await run(tiny, { policy: "fastgen" });
    using other = tiny.createSession({ policy: "fastgen" });
    using session = tiny.createSession({ policy, registry });
    const generation = other.generate([PART], GENERATE);
    await generation[Symbol.asyncIterator]().next();
    await failureOf(() => session.read([PART]));
    expect((await generation.report()).tokens).toEqual(expected.tokens);
  });
});

it("a strategy whose policy ranks by what it did not ask for is named", async () => {
  const forgetful = defineStrategy({
    name: "forgetful",
    needs: [],
    decide: ({ heads }) => heads.map(() => "frequent(5)"),
  });
  using session = tiny.createSession({ policy: "forgetful", registry: registryOf(forgetful) });
  const error = await failureOf(() => session.read([PART]));
  expect(error).toMatchObject({ code: "plugin" });
  expect(error.message).toMatch(/strategy "forgetful".*ranks by "mass".*needs/);
});

describe("a plug-in that fails", () => {
  const goesOn = async (session: Session): Promise<number> =>
    (await session.generate([{ ids: [40, 50], probe: null }], GENERATE).report()).tokens.length;

  it("while an answer is written ends the call, and leaves what was before it", async () => {
    let calls = 0;
    const { layers, kvHeads } = demo.config;
    const atCut = layers * kvHeads;
    const tiring = defineStatistic({
      name: "tiring",
      needs: [],
      compute: ({ count }) => {
        if (++calls === atCut + 1) throw REASON;
        return new Float32Array(count);
      },
    });
    const pages = demo.engine.store.livePages;
    const session = demo.createSession({ policy: "top(tiring, 9)", registry: registryOf(tiring), interval: 4 });
    const error = await failureOf(() => session.generate([PART], GENERATE).report());
    expect(error).toMatchObject({ code: "plugin", cause: REASON });
    expect(error.message).toContain('"tiring"');
    expect(session.tokens).toEqual([]);
    expect(await goesOn(session)).toBe(10);
    session[Symbol.dispose]();
    expect(demo.engine.store.livePages).toBe(pages);
  });

  it("while a policy is built makes no session", async () => {
    const registry = registryOf(
      definePolicy({
        name: "unbuilt",
        build: () => {
          throw REASON;
        },
      }),
      definePolicy({
        name: "unfinished",
        candidates: () => {
          throw REASON;
        },
      }),
    );
    const bytes = tiny.engine.backend.memory.snapshot();
    for (const [policy, what] of [
      ["unbuilt(8)", "build(8)"],
      ["special | unbuilt", "build()"],
      ["unfinished(30%)", "candidates(30%)"],
    ] as const) {
      const error = await failureOf(() => tiny.createSession({ policy, registry }));
      const name = policy.includes("unbuilt") ? "unbuilt" : "unfinished";
      expect(error).toMatchObject({ code: "plugin", cause: REASON });
      expect(error.message).toBe(`the policy plug-in "${name}": ${what} threw "out of order"`);
    }
    expect(tiny.engine.backend.memory.snapshot()).toEqual(bytes);
  });

  it("is unknown to a session that was not given it", () => {
    const make = (): Session => tiny.createSession({ policy: "top(tiring, 9)" });
    expect(make).toThrow(/tiring/);
    expect(make).toThrow(expect.objectContaining({ code: "policy" }));
  });
});
