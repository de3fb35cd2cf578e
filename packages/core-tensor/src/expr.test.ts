import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import * as expr from "./expr";
import { columnsOf, evaluate, randomUnit, randomWord, type Expr } from "./expr";
import type { SlotView } from "./slot-view";

const view: SlotView = {
  row: 3,
  count: 4,
  now: 20,
  position: Uint32Array.of(0, 5, 9, 20, 77),
  flags: new Uint32Array(5),
  columns: { mass: Float32Array.of(0.5, 2, -1, NaN, 77), keyNorm: Float32Array.of(1, 0, 4, 9, 77) },
};

/** An expression, and what it is in plain JavaScript for slot `i`. */
interface Both {
  readonly tree: Expr;
  readonly value: (i: number) => number;
}

const f = Math.fround;
const UNARY: readonly [(of: Expr) => Expr, (a: number) => number][] = [
  [expr.neg, (a) => -a],
  [expr.abs, Math.abs],
  [expr.sqrt, Math.sqrt],
  [expr.exp, Math.exp],
  [expr.log, Math.log],
];
const BINARY: readonly [(a: Expr, b: Expr) => Expr, (a: number, b: number) => number][] = [
  [expr.add, (a, b) => a + b],
  [expr.sub, (a, b) => a - b],
  [expr.mul, (a, b) => a * b],
  [expr.div, (a, b) => a / b],
  [expr.minOf, Math.min],
  [expr.maxOf, Math.max],
];

const leaf: fc.Arbitrary<Both> = fc.oneof(
  fc.constantFrom<Both>(
    { tree: expr.column("mass"), value: (i) => view.columns.mass?.[i] ?? NaN },
    { tree: expr.column("keyNorm"), value: (i) => view.columns.keyNorm?.[i] ?? NaN },
    { tree: expr.column("age"), value: (i) => 20 - (view.position[i] ?? NaN) },
    { tree: expr.column("position"), value: (i) => view.position[i] ?? NaN },
    { tree: expr.randomScore(9), value: (i) => f(randomUnit(9, 3, view.position[i] ?? NaN)) },
  ),
  fc.float({ min: -4, max: 4, noNaN: true }).map((value) => ({ tree: expr.constant(value), value: () => value })),
);

const both = fc.letrec<{ node: Both }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 4 },
    leaf,
    fc.tuple(fc.constantFrom(...UNARY), tie("node")).map(([[make, apply], of]) => ({
      tree: make(of.tree),
      value: (i: number) => f(apply(of.value(i))),
    })),
    fc.tuple(fc.constantFrom(...BINARY), tie("node"), tie("node")).map(([[make, apply], left, right]) => ({
      tree: make(left.tree, right.tree),
      value: (i: number) => f(apply(left.value(i), right.value(i))),
    })),
  ),
})).node;

describe("Expr", () => {
  it("is plain JavaScript, rounded to f32 after each operation", () => {
    fc.assert(
      fc.property(both, ({ tree, value }) => {
        expect(Array.from(evaluate(tree, view))).toEqual([0, 1, 2, 3].map(value));
      }),
      { numRuns: 300 },
    );
  });

  it("lists the stored columns that it reads", () => {
    const tree = expr.div(
      expr.column("mass"),
      expr.add(expr.column("age"), expr.maxOf(expr.column("keyNorm"), expr.column("mass"))),
    );
    expect(columnsOf(tree)).toEqual(["keyNorm", "mass"]);
    expect(columnsOf(expr.sub(expr.column("position"), expr.randomScore(1)))).toEqual([]);
  });

  it("names a column that is not there, and those that are", () => {
    expect(() => evaluate(expr.column("novelty"), view)).toThrow(/"novelty".*keyNorm, mass/);
  });
});

describe("randomWord", () => {
  it("spreads over all its bits, whichever number counts up", () => {
    const count = 4096;
    for (const word of [
      (i: number) => randomWord(i, 0, 0),
      (i: number) => randomWord(1, i, 0),
      (i: number) => randomWord(1, 2, i),
    ]) {
      const words = Array.from({ length: count }, (_, i) => word(i));
      for (let bit = 0; bit < 32; bit++) {
        const set = words.filter((of) => (of >>> bit) % 2 === 1).length;
        expect(Math.abs(set / count - 0.5)).toBeLessThan(0.05);
      }
      expect(new Set(words).size).toBe(count);
    }
  });

  it("gives the same words for ever: sequences and seeds are written down elsewhere", () => {
    expect([randomWord(0, 0, 0), randomWord(1, 2, 3), randomWord(0xffffffff, 0, 1)]).toMatchInlineSnapshot(`
      [
        1422740206,
        3682286299,
        3326596024,
      ]
    `);
  });
});
