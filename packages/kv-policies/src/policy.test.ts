import { WinnowError, column, constant, neg, randomScore, type Expr } from "@winnow/core-tensor";
import { describe, expect, test } from "vitest";

import {
  columnsNeeded,
  every,
  frequent,
  full,
  intersect,
  limit,
  minus,
  none,
  not,
  parsePolicy,
  punctuation,
  recent,
  sink,
  special,
  tokens,
  top,
  union,
  type HeadView,
  type Policy,
} from "./index";
import { viewsOf } from "./testing/arbitraries";

/** Two heads of a layer: five tokens, the second one evicted from the second head. */
function heads(...policies: readonly Policy[]): HeadView[] {
  return viewsOf(
    {
      layer: 0,
      ids: [0, 4, 2, 6, 4],
      promptTokens: 4,
      heads: [
        { kept: [true, true, true, true, true], values: [[5, 1, 3, NaN, 3]] },
        { kept: [true, false, true, true, true], values: [[9, 9, 0, 3, -Infinity]] },
      ],
    },
    ...policies,
  );
}

/** Positions that each head keeps. */
function positions(policy: Policy): number[][] {
  const layer = heads(policy);
  return layer.map((head) => {
    const kept = policy.keep(head, layer);
    return [...head.position].filter((_, slot) => kept[slot] === 1);
  });
}

describe("what a policy keeps", () => {
  test.each([
    ["full", [0, 1, 2, 3, 4], [0, 2, 3, 4]],
    ["none", [], []],
    ["special", [0], [0]],
    ["punctuation", [2], [2]],
    ["tokens(4)", [1, 4], [4]],
    ["tokens(/\\d/)", [3], [3]],
    ["sink(2)", [0, 1], [0]],
    ["every(2)", [0, 2, 4], [0, 2, 4]],
    ["every(2, 1)", [1, 3], [3]],
    // Half of the four prompt tokens, from the newest position.
    ["recent(50%)", [3, 4], [3, 4]],
    ["recent(1)", [4], [4]],
    // Two of the five tokens; at 3 each the earlier position wins.
    ["frequent(40%)", [0, 2], [0, 3]],
    // What is not a number comes last, as minus infinity does; then the earlier position wins.
    ["frequent(4)", [0, 1, 2, 4], [0, 2, 3, 4]],
    ["top(-mass, 1)", [1], [4]],
    ["top(position, 2)", [3, 4], [3, 4]],
    ["top(age, 2)", [0, 1], [0, 2]],
    ["top(0, 2)", [0, 1], [0, 2]],
    // Two a head, four together: 9, 5, and of three times 3 those at positions 2 and 3.
    ["top(mass, 2, layer)", [0, 2], [0, 3]],
    ["top(mass, 40%, layer)", [0, 2], [0, 3]],
    ["limit(recent(4), 2, by mass)", [2, 4], [2, 3]],
    ["!recent(2)", [0, 1, 2], [0, 2]],
    ["full - special - punctuation", [1, 3, 4], [3, 4]],
    ["special | recent(2) & every(2)", [0, 4], [0, 4]],
  ])("%s", (text, first, second) => {
    expect(positions(parsePolicy(text))).toEqual([first, second]);
  });

  test("in a layer of tied scores, the earlier position wins, then the lower head", () => {
    expect(positions(top("0", 1, "layer"))).toEqual([[0], [0]]);
    expect(positions(top("0", 2, "layer"))).toEqual([[0, 1, 2], [0]]);
  });

  test("random keeps other slots in other heads, the same every time, by the seed", () => {
    const kept = (seed: number): number[][] => {
      const ids = Array<number>(64).fill(4);
      const policy = top(randomScore(seed), 32);
      const head = { kept: ids.map(() => true), values: [] };
      return viewsOf({ layer: 0, ids, promptTokens: 64, heads: [head, head] }).map((view) => [...policy.keep(view)]);
    };
    const [a, b] = kept(1);
    expect(kept(1)).toEqual([a, b]);
    expect(a).not.toEqual(b);
    expect(kept(2)[0]).not.toEqual(a);
    expect(a?.filter((slot) => slot === 1)).toHaveLength(32);
  });

  test("a set of tokens that the flags cannot know is refused", () => {
    const [head] = heads();
    if (head === undefined) throw new Error("no head");
    expect(() => tokens([4]).keep(head)).toThrow(/tokens\(4\) has no class bit.*reserve/);
  });

  test("a score whose column is not there is refused", () => {
    const [head] = heads();
    if (head === undefined) throw new Error("no head");
    expect(() => top(column("novelty"), 3).keep(head)).toThrow(/"novelty"/);
  });
});

describe("functions and text say the same", () => {
  test.each([
    [
      union(special(), punctuation(), frequent(0.3), recent(0.3)),
      "special | punctuation | frequent(30%) | recent(30%)",
    ],
    [intersect(sink(4), not(special())), "sink(4) & !special"],
    [minus(recent(64), tokens([4, 17])), "recent(64) - tokens(4, 17)"],
    [tokens(/^\s*\d+$/u), "tokens(/^\\s*\\d+$/u)"],
    [tokens(/a\/b|[/]/), "tokens(/a\\/b|[/]/)"],
    [every(2, 3), "every(2, 1)"],
    [top("-keyNorm", 0.3), "top(-keyNorm, 30%)"],
    [top("mass", 0.3, "layer"), "top(mass, 30%, layer)"],
    [top(neg(column("keyDiff")), 64), "top(-keyDiff, 64)"],
    [top(neg(constant(2)), 64), "top(-2, 64)"],
    [top(column("meanMass"), 64), "top(meanMass, 64)"],
    [limit(full(), 64, "random(7)"), "limit(full, 64, by random(7))"],
    [union(), "none"],
    [intersect(), "full"],
    [union(none(), special()), "special"],
  ])("%s", (policy, text) => {
    expect(policy.text).toBe(text);
    expect(String(policy)).toBe(text);
    expect(parsePolicy(text).equals(policy)).toBe(true);
  });

  test.each<[string, () => Policy, string]>([
    ["an unknown statistic", () => top("masss", 0.3), 'unknown score "masss"; did you mean "mass"?'],
    ["a score that does not parse", () => top("mass +", 0.3), "expected a score, found the end"],
    ["a seed below 0", () => top(randomScore(-1), 3), "random(-1); expected a whole number from 0 to 4294967295"],
    ["a constant that is no number", () => top(constant(NaN), 3), "the constant NaN; expected a finite number"],
    ["a column no text can name", () => top(column("a b"), 3), 'the column "a b"'],
    ["a column with a function's name", () => top(column("min"), 3), 'the column "min"'],
    ["a sink of nothing", () => sink(0), "an amount of 0 is out of range"],
    ["a period of nothing", () => every(0), "an amount of 0 is out of range"],
    ["an offset below 0", () => every(2, -1), "an amount of -1 is out of range"],
    ["a score without an end", () => top(nestedScore(100), 3), "nested more than 64 deep"],
    ["a policy without an end", () => nestedPolicy(100), "nested more than 64 deep"],
  ])("%s is refused", (_, make, problem) => {
    expect(make).toThrow(WinnowError);
    expect(make).toThrow(problem);
  });

  test("the deepest policy reads back", () => {
    const policy = nestedPolicy(31);
    expect(parsePolicy(policy.text).equals(policy)).toBe(true);
    const deepest = intersect(nestedPolicy(31), top(nestedScore(64), 3));
    expect(parsePolicy(deepest.text).equals(deepest)).toBe(true);
  });
});

function nestedScore(depth: number): Expr {
  return depth === 0 ? column("mass") : { op: "sub", left: constant(1), right: nestedScore(depth - 1) };
}

function nestedPolicy(depth: number): Policy {
  return depth === 0 ? special() : minus(sink(depth), union(recent(depth), nestedPolicy(depth - 1)));
}

describe("columns that a policy reads", () => {
  test.each([
    ["full", [], [], []],
    ["none", [], [], []],
    ["special", ["position"], [], []],
    ["sink(4) | recent(30%)", ["position"], [], []],
    ["frequent(30%)", ["position", "mass"], [], []],
    ["top(meanMass, 3) | top(maxWeight, 3)", ["position", "mass", "maxWeight"], [], []],
    [
      "!limit(top(windowMass, 9) - top(lastMass, 3), 3, by -keyNorm)",
      ["position", "windowMass", "lastMass"],
      ["keyNorm"],
      [],
    ],
    ["top(random(3) * position + age, 3)", ["position"], [], []],
    ["top(keyDiff / valueNorm, 3)", ["position"], ["valueNorm", "keyDiff"], []],
  ])("%s", (text, stored, computed, custom) => {
    expect(columnsNeeded(parsePolicy(text))).toEqual({ stored, computed, custom });
  });

  test("of plug-ins", () => {
    expect(columnsNeeded(top(column("novelty"), 3)).custom).toEqual(["novelty"]);
  });
});
