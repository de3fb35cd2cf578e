import { BoolOp, MAX_PROGRAM_WORDS, boolWord, selectSlots, type SelectProgram } from "@winnow/core-tensor";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import {
  ScoreTable,
  TokenClasses,
  compile,
  limit,
  parsePolicy,
  recent,
  tokenSetsOf,
  top,
  union,
  type CompileContext,
  type Policy,
} from "./index";
import { anyLayer, anyPolicy, viewsOf } from "./testing/arbitraries";
import { VOCABULARY } from "./testing/vocabulary";

function contextOf(...policies: readonly Policy[]): CompileContext {
  const classes = new TokenClasses(VOCABULARY);
  classes.reserve(policies.flatMap(tokenSetsOf));
  return { promptTokens: 100, length: 120, classes, scores: new ScoreTable(), kvHeads: 4 };
}

const compiled = (text: string): SelectProgram => {
  const policy = parsePolicy(text);
  return compile(policy, contextOf(policy));
};

describe("the compiled meaning is the CPU meaning", () => {
  test("for a layer whose heads follow the same policy", () => {
    fc.assert(
      fc.property(anyLayer, anyPolicy, (layer, policy) => {
        const views = viewsOf(layer, policy);
        const [{ promptTokens, length, classes } = { promptTokens: 1, length: 1, classes: new TokenClasses([]) }] =
          views;
        const scores = new ScoreTable();
        const context = { promptTokens, length, classes, scores, kvHeads: views.length };
        const programs = views.map(() => compile(policy, context));
        const selected = selectSlots(views, programs, scores.expressions, views.length);
        expect(selected.map((head) => [...head])).toEqual(views.map((head) => [...policy.keep(head, views)]));
      }),
      { numRuns: 400 },
    );
  });

  test("for heads that follow policies of their own, with one table of scores", () => {
    fc.assert(
      fc.property(anyLayer, fc.array(anyPolicy, { minLength: 3, maxLength: 3 }), (layer, policies) => {
        const views = viewsOf(layer, ...policies);
        const scores = new ScoreTable();
        const programs = views.map(({ promptTokens, length, classes }, h) =>
          compile(policies[h] ?? union(), { promptTokens, length, classes, scores, kvHeads: views.length }),
        );
        const selected = selectSlots(views, programs, scores.expressions, views.length);
        const expected = views.map((head, h) => [...(policies[h] ?? union()).keep(head, views)]);
        expect(selected.map((head) => [...head])).toEqual(expected);
      }),
    );
  });
});

describe("programs", () => {
  test("ratios become numbers: of the prompt for windows, of all tokens for rankings", () => {
    expect(compiled("special | frequent(30%) | recent(30%)")).toEqual({
      ranks: [{ score: 0, k: 36, scope: "head" }],
      keep: [
        boolWord(BoolOp.hasClass, 1),
        boolWord(BoolOp.rank, 0),
        boolWord(BoolOp.or),
        boolWord(BoolOp.near, 30),
        boolWord(BoolOp.or),
      ],
    });
  });

  test("the heads of a layer bring their slots together", () => {
    expect(compiled("top(maxWeight, 10%, layer)").ranks).toEqual([{ score: 0, k: 48, scope: "layer" }]);
  });

  test("a ranking over the layer says what it needs", () => {
    const policy = top("mass", 0.3, "layer");
    const { kvHeads: _, ...context } = contextOf(policy);
    expect(() => compile(policy, context)).toThrow(/"top\(mass, 30%, layer\)".*kvHeads/);
  });

  test("the same ranking is asked once", () => {
    expect(compiled("frequent(30%) & sink(4) | frequent(30%) - special").ranks).toHaveLength(1);
    expect(compiled("limit(sink(9), 4, by mass) & special | limit(sink(9), 4, by mass) - special").ranks).toHaveLength(
      1,
    );
    expect(compiled("frequent(12) | top(mass, 3, layer)").ranks).toHaveLength(2);
    expect(compiled("frequent(30%) | frequent(40%) | top(age, 30%) | limit(sink(9), 36, by mass)").ranks).toHaveLength(
      4,
    );
  });

  test("programs that share a table number the same score alike", () => {
    const scores = new ScoreTable();
    const context = { ...contextOf(), scores };
    compile(top("maxWeight", 3), context);
    const { ranks } = compile(union(top("mass", 3), top("maxWeight", 5)), context);
    expect(ranks.map(({ score }) => score)).toEqual([1, 0]);
    expect(scores.expressions).toEqual([
      { op: "column", name: "maxWeight" },
      { op: "column", name: "mass" },
    ]);
  });

  test("a program that no device runs is refused, wherever it stands", () => {
    const windows = Array.from({ length: MAX_PROGRAM_WORDS }, (_, i) => recent(i + 1));
    const long = union(...windows);
    const words = 2 * MAX_PROGRAM_WORDS - 1;
    expect(() => compile(long, contextOf())).toThrow(`takes ${words} words, and a device runs ${MAX_PROGRAM_WORDS}`);
    expect(() => compile(limit(long, 4, "mass"), contextOf())).toThrow(`takes ${words} words`);
    expect(() => compile(union(...windows.slice(0, 16)), contextOf())).not.toThrow();
  });

  test("a set of tokens that the flags cannot know is refused", () => {
    const policy = parsePolicy("tokens(4) | recent(3)");
    expect(() => compile(policy, contextOf())).toThrow(/tokens\(4\) has no class bit.*reserve/);
  });
});
