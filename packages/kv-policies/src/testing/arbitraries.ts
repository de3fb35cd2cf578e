import type { Expr } from "@winnow/core-tensor";
import fc from "fast-check";

import type { Policy, Amount, HeadView, RankScope } from "../index";
import {
  TokenClasses,
  amountOf,
  every,
  frequent,
  full,
  intersect,
  limit,
  minus,
  none,
  not,
  punctuation,
  ratio,
  recent,
  sink,
  special,
  tokenSetsOf,
  tokens,
  top,
  union,
} from "../index";
import { VOCABULARY } from "./vocabulary";

/** Ratios that are awkward in binary beside plain ones, and counts about as large as the generated heads. */
export const anyAmount: fc.Arbitrary<Amount> = fc.oneof(
  fc.constantFrom(0.3, 0.07, 1 / 3, 0.125, 0.9).map((x) => amountOf(x)),
  fc.double({ min: 0, max: 1, minExcluded: true, noNaN: true }).map(ratio),
  fc.integer({ min: 1, max: 40 }).map((x) => amountOf(x)),
);

const STATISTIC_COLUMNS = ["mass", "maxWeight", "windowMass", "lastMass", "keyNorm", "valueNorm", "keyDiff"] as const;

const scores = fc.letrec<{ score: Expr; leaf: Expr; binary: Expr; unary: Expr }>((tie) => ({
  score: fc.oneof({ maxDepth: 3, withCrossShrink: true }, tie("leaf"), tie("binary"), tie("unary")),
  leaf: fc.oneof(
    fc.constantFrom(...STATISTIC_COLUMNS, "age", "position").map((name): Expr => ({ op: "column", name })),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((value): Expr => ({ op: "constant", value })),
    fc.integer({ min: 0, max: 2 ** 32 - 1 }).map((seed): Expr => ({ op: "random", seed })),
  ),
  unary: fc
    .tuple(fc.constantFrom("neg", "abs", "sqrt", "exp", "log"), tie("score"))
    .map(([op, of]): Expr => ({ op, of })),
  binary: fc
    .tuple(fc.constantFrom("add", "sub", "mul", "div", "min", "max"), tie("score"), tie("score"))
    .map(([op, left, right]): Expr => ({ op, left, right })),
}));

export const anyScore: fc.Arbitrary<Expr> = scores.score;

const anyScope = fc.constantFrom<RankScope>("head", "head", "layer");

const anyTokens = fc.oneof(
  fc.uniqueArray(fc.nat(VOCABULARY.length - 1), { minLength: 1, maxLength: 3 }).map((ids) => tokens(ids)),
  fc.constantFrom(/\d/, /^ /u, /[/]|cat/, /THE/i).map((pattern) => tokens(pattern)),
);

export const anyAtom: fc.Arbitrary<Policy> = fc.oneof(
  fc.constantFrom(full(), none(), special(), punctuation()),
  anyTokens,
  fc.integer({ min: 1, max: 40 }).map(sink),
  fc.tuple(fc.integer({ min: 1, max: 6 }), fc.nat(5)).map(([period, offset]) => every(period, offset % period)),
  anyAmount.map(frequent),
  fc.tuple(anyScore, anyAmount, anyScope).map(([score, amount, scope]) => top(score, amount, scope)),
  anyAmount.map(recent),
);

const policies = fc.letrec<{ policy: Policy; atom: Policy; composite: Policy }>((tie) => ({
  policy: fc.oneof({ maxDepth: 3, withCrossShrink: true }, tie("atom"), tie("composite")),
  atom: anyAtom,
  composite: fc.oneof(
    tie("policy").map(not),
    fc.array(tie("policy"), { maxLength: 3 }).map((parts) => union(...parts)),
    fc.array(tie("policy"), { maxLength: 3 }).map((parts) => intersect(...parts)),
    fc.tuple(tie("policy"), tie("policy")).map(([a, b]) => minus(a, b)),
    fc.tuple(tie("policy"), anyAmount, anyScore).map(([of, amount, score]) => limit(of, amount, score)),
  ),
}));

export const anyPolicy: fc.Arbitrary<Policy> = policies.policy;

/** Few values, so that ties are common, and those that no order is defined for. */
const anyValue = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: -2, max: 3 }) },
  { weight: 2, arbitrary: fc.double({ min: 0, max: 1, noNaN: true }) },
  { weight: 1, arbitrary: fc.constantFrom(NaN, Infinity, -Infinity, -0) },
);

/** The KV heads of one layer while text is generated, as data that prints well. */
export interface LayerCase {
  readonly layer: number;
  /** The tokens read so far. */
  readonly ids: readonly number[];
  readonly promptTokens: number;
  readonly heads: readonly {
    /** By position: whether the head still has it. */
    readonly kept: readonly boolean[];
    /** By statistic, then by position. */
    readonly values: readonly (readonly number[])[];
  }[];
}

/** Each head has lost some slots, so that positions have gaps; some heads have none left. */
export const anyLayer: fc.Arbitrary<LayerCase> = fc
  .tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 3 }))
  .chain(([length, heads]) => {
    const exactly = <T>(item: fc.Arbitrary<T>, count: number): fc.Arbitrary<T[]> =>
      fc.array(item, { minLength: count, maxLength: count });
    return fc.record({
      layer: fc.nat(3),
      ids: exactly(fc.nat(VOCABULARY.length - 1), length),
      promptTokens: fc.integer({ min: 1, max: length }),
      heads: exactly(
        fc.record({
          kept: exactly(fc.boolean(), length),
          values: exactly(exactly(anyValue, length), STATISTIC_COLUMNS.length),
        }),
        heads,
      ),
    });
  });

/** What policies see of a layer whose cache knows of their sets of tokens. */
export function viewsOf({ layer, ids, promptTokens, heads }: LayerCase, ...policies: readonly Policy[]): HeadView[] {
  const classes = new TokenClasses(VOCABULARY);
  classes.reserve(policies.flatMap(tokenSetsOf));
  return heads.map(({ kept, values }, head) => {
    const position = Uint32Array.from([...ids.keys()].filter((p) => kept[p] === true));
    const columns = STATISTIC_COLUMNS.map((name, c) => [name, Float32Array.from(position, (p) => values[c]?.[p] ?? 0)]);
    return {
      row: layer * heads.length + head,
      count: position.length,
      now: ids.length - 1,
      position,
      flags: classes.flagsOf(Array.from(position, (p) => ids[p] ?? 0)),
      columns: Object.fromEntries(columns) as Record<string, Float32Array>,
      promptTokens,
      length: ids.length,
      classes,
    };
  });
}
