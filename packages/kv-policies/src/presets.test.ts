import { describe, expect, test } from "vitest";

import {
  PolicySyntaxError,
  PRESETS,
  adaptive,
  fastgen,
  heavyHitter,
  parsePolicy,
  resolvePolicy,
  sinkRecent,
  type Preset,
} from "./index";

function preset(text: string): Preset {
  const resolved = resolvePolicy(text);
  if (resolved.kind === "strategy") throw new Error(text);
  return resolved.preset;
}

const candidates = (text: string): string[] => preset(text).candidates.map((policy) => policy.text);

describe("presets", () => {
  test("fastgen reads the paper's windows row by row, and goes on sweeping", () => {
    expect(preset("fastgen")).toMatchObject({
      name: "fastgen",
      text: "fastgen",
      threshold: 0.95,
      rows: "prompt",
      reading: "row",
      generated: "sweep",
    });
  });

  test("adaptive is the oracle's ladder, and keeps what is generated", () => {
    expect(preset("adaptive")).toMatchObject({ threshold: 0.9, rows: "probe", reading: "cut", generated: "keep" });
    expect(candidates("adaptive")).toEqual([
      "special | recent(4)",
      ...[5, 10, 20, 30, 40, 50, 60, 70, 80, 90].map((x) => `special | top(maxWeight, ${x}%) | recent(4)`),
      "full",
    ]);
  });

  test("the ladder's ratios are the oracle's numbers", () => {
    const ratios = adaptive().candidates.flatMap(({ node }) =>
      node.kind === "or" ? node.of.flatMap((part) => (part.kind === "top" ? [part.amount.value] : [])) : [],
    );
    expect(ratios).toEqual([0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]);
  });

  test("the others have one candidate and no threshold", () => {
    expect(candidates("full")).toEqual(["full"]);
    expect(candidates("sink+recent")).toEqual(["sink(4) | recent(30%)"]);
    expect(candidates("heavy-hitter")).toEqual(["frequent(25%) | recent(25%)"]);
    for (const name of ["full", "sink+recent", "heavy-hitter"]) expect(preset(name).threshold).toBeNull();
  });

  test("each says where it comes from", () => {
    for (const name of Object.keys(PRESETS)) expect(preset(name).source).not.toBe("");
  });

  test.each([
    ["fastgen(20%, 40%)", "special | punctuation | frequent(20%) | recent(40%)", 3],
    ["fastgen( 64 , 128 )", "special | punctuation | frequent(64) | recent(128)", 3],
    ["fastgen(20%)", "special | punctuation | frequent(20%) | recent(30%)", 3],
    ["sink+recent(4, 256)", "sink(4) | recent(256)", 0],
    ["heavy-hitter(10%, 64)", "frequent(10%) | recent(64)", 0],
  ])("%s has parameters", (text, candidate, place) => {
    expect(candidates(text)[place]).toBe(candidate);
  });

  test.each([
    ["fastgen", "fastgen"],
    ["fastgen()", "fastgen"],
    ["fastgen(30%, 30%)", "fastgen"],
    [" fastgen(20%) ", "fastgen(20%, 30%)"],
    ["sink+recent(4, 256)", "sink+recent(4, 256)"],
  ])("%s is %s in full", (text, full) => {
    expect(preset(text).text).toBe(full);
    expect({ ...preset(full), withBudget: null }).toEqual({ ...preset(text), withBudget: null });
  });

  test("from programs", () => {
    expect(fastgen(0.2, 64).text).toBe("fastgen(20%, 64)");
    expect(heavyHitter().candidates[0]?.text).toBe("frequent(25%) | recent(25%)");
    expect(() => sinkRecent(0.3)).toThrow("sink+recent: the sinks are 30%, expected a whole number of tokens");
  });
});

describe("what a text means", () => {
  test("an expression is a preset of one candidate", () => {
    const resolved = resolvePolicy("recent(30%) | special");
    expect(resolved.kind).toBe("expression");
    expect(preset("recent(30%) | special")).toMatchObject({
      text: "special | recent(30%)",
      threshold: null,
      generated: "sweep",
    });
  });

  test("full is a preset by itself, and a policy within an expression", () => {
    expect(resolvePolicy("full").kind).toBe("preset");
    expect(preset("full - recent(4)").text).toBe("!recent(4)");
    expect(preset("full").generated).toBe("keep");
  });

  test.each([
    ["fastgn", 0, 'did you mean "fastgen"?'],
    ["sink+recnt", 0, 'did you mean "sink+recent"?'],
    ["fastgen(20%, 40%, 3)", 0, "fastgen takes at most 2 amounts, and 3 are given"],
    ["adaptive(3)", 0, "adaptive takes no amounts, and 1 are given"],
    ["fastgen(20%, 400%)", 13, "a ratio of 400% is out of range"],
    ["fastgen(20%", 11, 'expected ")", found the end'],
    ["sink+recent(30%)", 0, "sink+recent: the sinks are 30%, expected a whole number of tokens"],
    ["fastgen | special", 0, '"fastgen" is a preset, which decides for each head; use it by itself'],
    ["special - heavy-hitter(3, 4)", 10, '"heavy-hitter" is a preset'],
    ["", 0, "expected a policy, found the end"],
  ])("%s means nothing", (text, position, problem) => {
    try {
      resolvePolicy(text);
      expect.unreachable();
    } catch (error) {
      if (!(error instanceof PolicySyntaxError)) throw error;
      expect(error.problem).toContain(problem);
      expect(error.position).toBe(position);
    }
  });

  test("a policy alone is never a preset", () => {
    expect(() => parsePolicy("adaptive")).toThrow("is a preset");
  });
});
