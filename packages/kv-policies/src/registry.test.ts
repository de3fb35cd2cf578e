import { WinnowError } from "@winnow/core-tensor";
import { describe, expect, test } from "vitest";

import {
  Policy,
  PolicyRegistry,
  PolicySyntaxError,
  amountOf,
  columnsNeeded,
  definePolicy,
  defineStatistic,
  defineStrategy,
  every,
  full,
  parsePolicy,
  parseScore,
  recent,
  resolvePolicy,
  sink,
  special,
  union,
  type HeadView,
  type LayerView,
} from "./index";
import { viewsOf } from "./testing/arbitraries";

function registryWith(...plugins: readonly unknown[]): PolicyRegistry {
  const registry = new PolicyRegistry();
  for (const plugin of plugins) registry.register(plugin, "plugin.mjs");
  return registry;
}

/** The error of a plug-in, which has to be typed and of one line. */
function failure(run: () => unknown): WinnowError {
  try {
    run();
  } catch (error) {
    if (!(error instanceof WinnowError)) throw error;
    expect(error.code).toBe("plugin");
    expect(error.message).not.toContain("\n");
    return error;
  }
  throw new Error("nothing is thrown");
}

const views: HeadView[] = viewsOf({
  layer: 1,
  ids: [0, 4, 2, 6, 4],
  promptTokens: 5,
  heads: [
    { kept: [true, true, true, true, true], values: [[5, 1, 3, 2, 4]] },
    { kept: [true, false, true, true, true], values: [[9, 9, 0, 3, 1]] },
  ],
});
const layer: LayerView = { layer: 1, layers: 4, heads: views, recovery: 0.9 };

describe("a policy of one's own", () => {
  const edges = definePolicy({ name: "edges", build: (window = amountOf(0.2)) => union(sink(4), recent(window)) });

  test("stands for its expression, and prints as that", () => {
    const registry = registryWith(edges);
    expect(parsePolicy("edges", registry).text).toBe("sink(4) | recent(20%)");
    expect(parsePolicy("special | edges(64)", registry).text).toBe("special | sink(4) | recent(64)");
    expect(parsePolicy("!edges()", registry).text).toBe("!(sink(4) | recent(20%))");
    expect(resolvePolicy("edges(64)", registry)).toMatchObject({
      kind: "expression",
      preset: { text: "sink(4) | recent(64)" },
    });
    expect(registry.policyNames).toEqual(["edges"]);
  });

  test("needs nothing of this library: it may give text", () => {
    const registry = registryWith(
      { kind: "policy", name: "wide-edges", build: (window: unknown) => `sink(8) | recent(${String(window)})` },
      { kind: "policy", name: "wide", build: () => "wide-edges(50%) - special" },
    );
    expect(parsePolicy("wide-edges(30%)", registry).text).toBe("sink(8) | recent(30%)");
    expect(parsePolicy("special-wide-edges(3)", registry).text).toBe("special - (sink(8) | recent(3))");
    expect(parsePolicy("wide", registry).text).toBe("(sink(8) | recent(50%)) - special");
  });

  test("may come from another copy of this library", () => {
    const foreign = { node: { kind: "special" }, text: "special | recent(4)" };
    const registry = registryWith({ kind: "policy", name: "foreign", build: () => foreign });
    const policy = parsePolicy("foreign", registry);
    expect(policy).toBeInstanceOf(Policy);
    expect(policy.text).toBe("special | recent(4)");
  });

  test.each<[string, () => unknown, string]>([
    [
      "throws",
      () => {
        throw new Error("no\nwindow");
      },
      'the policy plug-in "x": build(4) threw "no window"',
    ],
    [
      "throws what is no error",
      () => {
        // eslint-disable-next-line @typescript-eslint/only-throw-error -- a plug-in may throw anything
        throw undefined;
      },
      'the policy plug-in "x": build(4) threw "undefined"',
    ],
    ["throws an error of ours", () => recent(-1), 'the policy plug-in "x": build(4): an amount of -1 is out of range'],
    ["gives a number", () => 3, 'the policy plug-in "x": build(4) gave 3; expected a policy or its text'],
    ["gives nothing", () => undefined, "build(4) gave undefined"],
    ["gives a promise", () => Promise.resolve(special()), "build(4) gave a promise"],
    ["gives an object", () => ({ text: "special" }), "build(4) gave an object"],
    [
      "gives a text that is no policy",
      () => "speical",
      'gave a text that is no policy: policy "speical", character 1: unknown policy "speical"; did you mean "special"?',
    ],
    ["names itself", () => "x(4)", 'comes back to "x" itself'],
  ])("that %s gets an error that says so", (_, build, message) => {
    const registry = registryWith({ kind: "policy", name: "x", build });
    for (let time = 0; time < 2; time++) {
      expect(failure(() => parsePolicy("special | x(4)", registry)).message).toContain(message);
    }
  });

  test("the thrown error is the cause", () => {
    const cause = new Error("no window");
    const registry = registryWith(
      definePolicy({
        name: "x",
        build: () => {
          throw cause;
        },
      }),
    );
    expect(failure(() => parsePolicy("x", registry)).cause).toBe(cause);
  });

  test("two that name each other are caught", () => {
    const registry = registryWith(
      { kind: "policy", name: "a", build: () => "b" },
      { kind: "policy", name: "b", build: () => "a" },
    );
    expect(failure(() => parsePolicy("a", registry)).message).toContain('comes back to "a" itself');
  });
});

describe("a preset of one's own", () => {
  test("has candidates", () => {
    const registry = registryWith(
      definePolicy({
        name: "my-ladder",
        description: "windows",
        rows: "probe",
        generated: "keep",
        candidates: (least = amountOf(8)) => [recent(least), "recent(50%)", full()],
      }),
    );
    const resolved = resolvePolicy("my-ladder(16)", registry);
    expect(resolved).toMatchObject({
      kind: "preset",
      preset: {
        name: "my-ladder",
        text: "my-ladder(16)",
        source: "windows",
        threshold: 0.9,
        rows: "probe",
        reading: "cut",
        generated: "keep",
      },
    });
    expect(resolved.kind === "preset" && resolved.preset.candidates.map(({ text }) => text)).toEqual([
      "recent(16)",
      "recent(50%)",
      "full",
    ]);
    expect(resolvePolicy("my-ladder", registry)).toMatchObject({ preset: { text: "my-ladder" } });
    expect(registry.presetNames).toContain("my-ladder");
    expect(() => parsePolicy("special | my-ladder", registry)).toThrow(PolicySyntaxError);
  });

  test("with one candidate has no threshold, unless it names one", () => {
    const one = { kind: "policy", name: "one", candidates: () => ["special"] };
    expect(resolvePolicy("one", registryWith(one))).toMatchObject({
      preset: { threshold: null, rows: "prompt", reading: "row", generated: "sweep" },
    });
    expect(resolvePolicy("one", registryWith({ ...one, threshold: 0.8 }))).toMatchObject({
      preset: { threshold: 0.8 },
    });
  });

  test.each<[string, unknown, string]>([
    ["none", [], "candidates() gave an array of 0; expected an array of at least one policy"],
    ["no list", "special", 'candidates() gave "special"; expected an array of at least one policy'],
    ["something else", ["special", 3], "candidates(), candidate 1, gave 3; expected a policy or its text"],
  ])("with %s is an error", (_, candidates, message) => {
    const registry = registryWith({ kind: "policy", name: "mine", candidates: () => candidates });
    expect(failure(() => resolvePolicy("mine", registry)).message).toContain(message);
  });
});

describe("a statistic of one's own", () => {
  test("as an expression stands for it in every score", () => {
    const registry = registryWith(
      defineStatistic({ name: "density", expr: "mass / valueNorm" }),
      defineStatistic({ name: "decayed", expr: parseScore("mass * exp(-age)") }),
    );
    registry.register(defineStatistic({ name: "both", expr: "density + decayed" }));
    expect(parsePolicy("top(density, 30%)", registry).text).toBe("top(mass / valueNorm, 30%)");
    expect(parsePolicy("limit(full, 3, by -both)", registry).text).toBe(
      "limit(full, 3, by -(mass / valueNorm + mass * exp(-age)))",
    );
    expect(registry.statisticNames.slice(-3)).toEqual(["density", "decayed", "both"]);
  });

  const novelty = defineStatistic({
    name: "novelty",
    needs: ["mass"],
    compute: ({ count, columns }) => Float32Array.from({ length: count }, (_, slot) => -(columns.mass?.[slot] ?? 0)),
  });

  test("as a function is a column that the host fills", () => {
    const registry = registryWith(novelty);
    const policy = parsePolicy("top(novelty * 2, 3)", registry);
    expect(policy.text).toBe("top(novelty * 2, 3)");
    expect(columnsNeeded(policy)).toEqual({ stored: ["position"], computed: [], custom: ["novelty"] });
    const [statistic] = registry.computed(columnsNeeded(policy).custom);
    expect(statistic?.needs).toEqual(["mass"]);
    expect(views.map((head) => [...(statistic?.compute(head, views) ?? [])])).toEqual([
      [-5, -1, -3, -2, -4],
      [-9, -0, -3, -1],
    ]);
    expect(registry.computed(["mass", "unknown"])).toEqual([]);
  });

  test("may be read by another's expression", () => {
    const registry = registryWith(novelty, defineStatistic({ name: "twice", expr: "2 * novelty" }));
    expect(parsePolicy("top(twice, 3)", registry).text).toBe("top(2 * novelty, 3)");
  });

  test.each<[string, unknown, string]>([
    [
      "throws",
      () => {
        throw new RangeError("odd");
      },
      'the statistic plug-in "odd": compute threw "odd"',
    ],
    [
      "gives a plain list",
      () => [1, 2, 3, 4, 5],
      "compute gave an array of 5; expected a Float32Array with one value for each of 5 slots",
    ],
    [
      "gives too few values",
      () => new Float32Array(4),
      "compute gave 4 values; expected a Float32Array with one value for each of 5 slots",
    ],
  ])("that %s gets an error that says so", (_, compute, message) => {
    const [statistic] = registryWith({ kind: "statistic", name: "odd", needs: [], compute }).computed(["odd"]);
    const [head] = views;
    if (statistic === undefined || head === undefined) throw new Error("not there");
    expect(failure(() => statistic.compute(head, views)).message).toContain(message);
  });

  test.each<[string, unknown, string]>([
    [
      "a text that is no score",
      "mass +",
      'the statistic plug-in "s": expr: policy "mass +", character 7: expected a score, found the end',
    ],
    ["an expression that is none", { op: "power" }, "expr: a score cannot be used: the operation power is not known"],
    [
      "a column that nothing fills",
      { op: "column", name: "nothing" },
      'expr reads the column "nothing", which nothing fills; known: mass, meanMass',
    ],
    ["itself", "s", 'unknown score "s"'],
  ])("an expression with %s is refused", (_, expr, message) => {
    expect(failure(() => registryWith({ kind: "statistic", name: "s", expr })).message).toContain(message);
  });
});

describe("a strategy of one's own", () => {
  const stripes = defineStrategy({
    name: "stripes",
    needs: ["mass"],
    decide: ({ heads }) => heads.map((_, h) => (h % 2 === 0 ? every(2, 1) : "every(2)")),
  });

  test("decides for all heads of a layer", () => {
    const registry = registryWith(stripes);
    const resolved = resolvePolicy(" stripes ", registry);
    if (resolved.kind !== "strategy") throw new Error(resolved.kind);
    expect(resolved.strategy.name).toBe("stripes");
    expect(resolved.strategy.needs).toEqual(["mass"]);
    expect(resolved.strategy.decide(layer).map(({ text }) => text)).toEqual(["every(2, 1)", "every(2)"]);
    expect(registry.strategyNames.at(-1)).toBe("stripes");
  });

  test("is no part of an expression", () => {
    expect(() => parsePolicy("special | stripes", registryWith(stripes))).toThrow(
      '"stripes" is a strategy, which decides for each head; use it by itself',
    );
    expect(() => resolvePolicy("stripes(3) | special", registryWith(stripes))).toThrow(PolicySyntaxError);
  });

  test.each<[string, unknown, string]>([
    [
      "throws",
      () => {
        throw new Error("lost");
      },
      'the strategy plug-in "odd": decide(layer 1) threw "lost"',
    ],
    [
      "gives too few",
      () => ["special"],
      "decide(layer 1) gave an array of 1; expected an array of 2 policies, one for each head",
    ],
    ["gives no list", () => full(), "decide(layer 1) gave an object; expected an array of 2 policies"],
    [
      "gives something else",
      () => ["special", null],
      "decide(layer 1), head 1, gave null; expected a policy or its text",
    ],
  ])("that %s gets an error that says so", (_, decide, message) => {
    const strategy = registryWith({ kind: "strategy", name: "odd", needs: [], decide }).strategy("odd");
    expect(failure(() => strategy?.decide(layer)).message).toContain(message);
  });
});

describe("registering", () => {
  const build = (): Policy => special();

  test.each<[string, unknown, string]>([
    [
      "nothing",
      undefined,
      "undefined is not a plug-in; expected what definePolicy, defineStatistic or defineStrategy returns",
    ],
    ["a function", build, "a function is not a plug-in"],
    [
      "an unknown kind",
      { kind: "polcy", name: "x", build },
      'the kind "polcy"; expected policy, statistic or strategy',
    ],
    ["no name", { kind: "policy", name: "", build }, 'the policy\'s name is ""; expected a letter'],
    ["a name that no text can have", { kind: "policy", name: "my policy", build }, 'name is "my policy"'],
    [
      "a statistic with a minus in its name",
      { kind: "statistic", name: "my-stat", expr: "mass" },
      'the statistic\'s name is "my-stat"',
    ],
    [
      "neither build nor candidates",
      { kind: "policy", name: "x" },
      'the policy "x" needs one of build, for an expression, and candidates, for a preset',
    ],
    ["both build and candidates", { kind: "policy", name: "x", build, candidates: build }, "needs one of build"],
    [
      "a build that is no function",
      { kind: "policy", name: "x", build: 3 },
      'the policy "x" has 3 for build; expected a function',
    ],
    [
      "a threshold out of range",
      { kind: "policy", name: "x", candidates: build, threshold: 95 },
      "has the threshold 95; expected a number above 0 and at most 1",
    ],
    [
      "unknown rows",
      { kind: "policy", name: "x", candidates: build, rows: "all" },
      'has rows "all"; expected prompt, late, probe',
    ],
    ["neither expr nor compute", { kind: "statistic", name: "x" }, "needs one of expr and compute"],
    [
      "an expr that is none",
      { kind: "statistic", name: "x", expr: 3 },
      "has the expr 3; expected an expression or its text",
    ],
    [
      "no needs",
      { kind: "statistic", name: "x", compute: build },
      'has undefined for needs; expected the columns it reads, such as ["mass"]',
    ],
    [
      "needs that no cache has",
      { kind: "strategy", name: "x", needs: ["mas"], decide: build },
      'needs the column "mas", which no cache has; expected mass,',
    ],
    ["no decide", { kind: "strategy", name: "x", needs: [] }, "has undefined for decide; expected a function"],
  ])("%s is refused", (_, plugin, message) => {
    const error = failure(() => registryWith(plugin));
    expect(error.message).toMatch(/^plugin\.mjs: /);
    expect(error.message).toContain(message);
  });

  test.each(["special", "frequent", "fastgen", "mass", "min", "layer", "by"])("the name %s is taken", (name) => {
    expect(failure(() => registryWith({ kind: "policy", name, build })).message).toContain(
      `the name "${name}" is taken; choose another than full, none,`,
    );
  });

  test("a name is given once", () => {
    const plugin = { kind: "policy", name: "mine", build };
    expect(failure(() => registryWith(plugin, { ...plugin })).message).toContain('the name "mine" is taken');
  });

  test("registries know nothing of each other", () => {
    registryWith({ kind: "policy", name: "mine", build });
    expect(() => parsePolicy("mine")).toThrow('unknown policy "mine"');
    expect(() => parsePolicy("mine", registryWith({ kind: "policy", name: "mined", build }))).toThrow(
      'did you mean "mined"?',
    );
  });
});

describe("a module", () => {
  const plugin = (name: string): unknown => ({ kind: "policy", name, build: () => "special" });

  test("gives every export that is a plug-in, once", () => {
    const registry = new PolicyRegistry();
    const a = plugin("a");
    registry.use(
      { default: a, a, b: [plugin("b"), plugin("c")], version: 3, helper: () => 1, options: { kind: "x" } },
      "mine.mjs",
    );
    expect(registry.policyNames).toEqual(["a", "b", "c"]);
  });

  test("of CommonJS arrives as a default object", () => {
    const registry = new PolicyRegistry();
    const exported = { a: plugin("a"), b: plugin("b") };
    registry.use({ default: exported, a: exported.a }, "mine.cjs");
    expect(registry.policyNames).toEqual(["a", "b"]);
  });

  test("without a plug-in is refused", () => {
    const use = (module: Readonly<Record<string, unknown>>): string =>
      failure(() => {
        new PolicyRegistry().use(module, "mine.mjs");
      }).message;
    expect(use({})).toBe(
      "mine.mjs exports no plug-in, but nothing; export what definePolicy, defineStatistic or defineStrategy returns",
    );
    expect(use({ version: 3, build: () => 1 })).toContain("mine.mjs exports no plug-in, but version, build;");
    expect(use({ a: plugin("a"), b: { kind: "polcy", name: "b" } })).toContain('mine.mjs: the kind "polcy"');
  });
});
