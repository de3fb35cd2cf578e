import fc from "fast-check";
import { describe, expect, test } from "vitest";

import {
  count,
  full,
  intersect,
  limit,
  minus,
  none,
  not,
  ratio,
  recent,
  sink,
  top,
  union,
  type Policy,
  type RankScope,
} from "./index";
import { anyLayer, anyPolicy, anyScore, viewsOf, type LayerCase } from "./testing/arbitraries";

/** What each head of a layer keeps. */
function kept(layer: LayerCase, ...policies: readonly Policy[]): number[][][] {
  const views = viewsOf(layer, ...policies);
  return policies.map((policy) => views.map((head) => [...policy.keep(head, views)]));
}

function expectSame(layer: LayerCase, a: Policy, b: Policy): void {
  const [left, right] = kept(layer, a, b);
  expect(left).toEqual(right);
}

function expectNotLess(layer: LayerCase, larger: Policy, smaller: Policy): void {
  const [more = [], less = []] = kept(layer, larger, smaller);
  less.forEach((head, h) => {
    head.forEach((slot, s) => {
      expect(more[h]?.[s] ?? 0).toBeGreaterThanOrEqual(slot);
    });
  });
}

const three = fc.tuple(anyPolicy, anyPolicy, anyPolicy);
const law = (name: string, check: (layer: LayerCase, a: Policy, b: Policy, c: Policy) => void): void => {
  test(name, () => {
    fc.assert(
      fc.property(anyLayer, three, (layer, [a, b, c]) => {
        check(layer, a, b, c);
      }),
    );
  });
};

describe("operators are set operations", () => {
  const check = (
    name: string,
    combine: (a: Policy, b: Policy) => Policy,
    expected: (a: number, b: number) => number,
  ): void => {
    law(name, (layer, a, b) => {
      const [of, left = [], right = []] = kept(layer, combine(a, b), a, b);
      expect(of).toEqual(left.map((head, h) => head.map((slot, s) => expected(slot, right[h]?.[s] ?? 0))));
    });
  };
  check("union", union, (a, b) => a | b);
  check("intersection", intersect, (a, b) => a & b);
  check("difference", minus, (a, b) => a & (1 - b));
  check(
    "complement",
    (a) => not(a),
    (a) => 1 - a,
  );
});

describe("Boolean laws", () => {
  law("commutativity", (_, a, b) => {
    expect(union(a, b).text).toBe(union(b, a).text);
    expect(intersect(a, b).text).toBe(intersect(b, a).text);
  });
  law("associativity", (_, a, b, c) => {
    expect(union(a, union(b, c)).text).toBe(union(union(a, b), c).text);
    expect(intersect(a, intersect(b, c)).text).toBe(intersect(intersect(a, b), c).text);
  });
  law("idempotence", (_, a) => {
    expect(union(a, a).text).toBe(a.text);
    expect(intersect(a, a).text).toBe(a.text);
  });
  law("double complement", (_, a) => {
    expect(not(not(a)).text).toBe(a.text);
  });
  law("neutral and absorbing sets", (_, a) => {
    expect(union(a, none()).text).toBe(a.text);
    expect(union(a, full()).text).toBe("full");
    expect(intersect(a, full()).text).toBe(a.text);
    expect(intersect(a, none()).text).toBe("none");
    expect(minus(a, none()).text).toBe(a.text);
    expect(minus(a, full()).text).toBe("none");
    expect(minus(none(), a).text).toBe("none");
    expect(minus(full(), a).text).toBe(not(a).text);
  });
  law("absorption", (layer, a, b) => {
    expectSame(layer, union(a, intersect(a, b)), a);
    expectSame(layer, intersect(a, union(a, b)), a);
  });
  law("De Morgan", (layer, a, b) => {
    expectSame(layer, not(union(a, b)), intersect(not(a), not(b)));
    expectSame(layer, not(intersect(a, b)), union(not(a), not(b)));
  });
  law("distributivity", (layer, a, b, c) => {
    expectSame(layer, intersect(a, union(b, c)), union(intersect(a, b), intersect(a, c)));
    expectSame(layer, union(a, intersect(b, c)), intersect(union(a, b), union(a, c)));
  });
  law("a difference is an intersection with the complement", (layer, a, b) => {
    expectSame(layer, minus(a, b), intersect(a, not(b)));
  });
  law("complements", (layer, a) => {
    expectSame(layer, union(a, not(a)), full());
    expectSame(layer, intersect(a, not(a)), none());
  });
});

describe("a larger set never keeps less", () => {
  law("union and intersection", (layer, a, b, c) => {
    expectNotLess(layer, union(a, b), a);
    expectNotLess(layer, a, intersect(a, b));
    expectNotLess(layer, union(a, b, c), union(a, c));
    expectNotLess(layer, intersect(union(a, b), c), intersect(a, c));
    expectNotLess(layer, a, minus(a, b));
  });

  const ascending = (values: fc.Arbitrary<number>): fc.Arbitrary<readonly [number, number]> =>
    fc.tuple(values, values).map(([a, b]) => [Math.min(a, b), Math.max(a, b)]);
  const amounts = fc.oneof(
    ascending(fc.integer({ min: 1, max: 40 })).map(([a, b]) => [count(a), count(b)] as const),
    ascending(fc.double({ min: 0.001, max: 1, noNaN: true })).map(([a, b]) => [ratio(a), ratio(b)] as const),
  );

  test("amounts", () => {
    const scope = fc.constantFrom<RankScope>("head", "layer");
    fc.assert(
      fc.property(anyLayer, anyPolicy, anyScore, amounts, scope, (layer, policy, score, [less, more], who) => {
        expectNotLess(layer, recent(more), recent(less));
        expectNotLess(layer, top(score, more, who), top(score, less, who));
        expectNotLess(layer, limit(policy, more, score), limit(policy, less, score));
        expectNotLess(layer, policy, limit(policy, less, score));
      }),
    );
  });

  test("sinks", () => {
    fc.assert(
      fc.property(anyLayer, fc.integer({ min: 1, max: 40 }), fc.integer({ min: 0, max: 10 }), (layer, n, extra) => {
        expectNotLess(layer, sink(n + extra), sink(n));
      }),
    );
  });
});
