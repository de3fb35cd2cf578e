import { WinnowError } from "@winnow/core-tensor";

import { count, formatPercent, ratio, ratioOfPercent, type Amount } from "./amount";
import { Cursor, unknownName } from "./cursor";
import {
  every,
  frequent,
  full,
  intersect,
  limit,
  minus,
  none,
  not,
  punctuation,
  recent,
  sink,
  special,
  tokens,
  top,
  union,
  type Policy,
} from "./policy";
import type { RankScope } from "./policy-node";
import { readScore, type ScoreNames } from "./score-parser";
import { nearest } from "./syntax-error";

/** Names beyond those of the algebra that a text may use. */
export interface PolicyNames extends ScoreNames {
  /** Names that stand for a policy. */
  readonly policyNames: readonly string[];
  /** Names that decide for each head, and so are no part of an expression, with what they are. */
  readonly wholeNames: ReadonlyMap<string, string>;
  /** The policy that a name stands for, or null. */
  policy(name: string): { build(amounts: readonly Amount[]): Policy } | null;
}

/** Atoms that a policy's text may name, with what stands between their parentheses. */
const ATOMS: Readonly<Record<string, (parser: PolicyParser, cursor: Cursor) => Policy>> = {
  full: () => full(),
  none: () => none(),
  special: () => special(),
  punctuation: () => punctuation(),
  tokens: (_, cursor) => cursor.inParentheses(() => readTokens(cursor)),
  sink: (_, cursor) => cursor.inParentheses(() => sink(cursor.whole(1))),
  every: (_, cursor) => cursor.inParentheses(() => every(cursor.whole(1), cursor.accept(",") ? cursor.whole(0) : 0)),
  frequent: (_, cursor) => cursor.inParentheses(() => frequent(readAmount(cursor))),
  recent: (_, cursor) => cursor.inParentheses(() => recent(readAmount(cursor))),
  top: (parser, cursor) =>
    cursor.inParentheses(() => {
      const score = parser.score();
      cursor.expect(",");
      const amount = readAmount(cursor);
      return top(score, amount, cursor.accept(",") ? cursor.word<RankScope>(["head", "layer"]) : "head");
    }),
  limit: (parser, cursor) =>
    cursor.inParentheses(() => {
      const policy = parser.union();
      cursor.expect(",");
      const amount = readAmount(cursor);
      cursor.expect(",");
      cursor.word(["by"]);
      return limit(policy, amount, parser.score());
    }),
};

/** Names that an expression's policies may have besides those of plug-ins. */
export const ATOM_NAMES: readonly string[] = Object.keys(ATOMS);

/** Read an amount: `30%` or `64`. */
export function readAmount(cursor: Cursor): Amount {
  const start = cursor.skip();
  const number = cursor.match(/\d+(?:\.\d+)?(?:e[+-]?\d+)?/y);
  if (number === null) cursor.fail(start, `expected an amount, such as 30% or 64, found ${cursor.found()}`);
  const percent = cursor.match(/\s*%/y) !== null;
  return cursor.checked(start, () => {
    if (percent) return ratio(ratioOfPercent(number));
    const value = Number(number);
    if (value > 0 && value < 1)
      throw new WinnowError("policy", `an amount of ${number}; write ${formatPercent(value)} for a ratio`);
    return count(value);
  });
}

/** Read a text that is a policy and nothing else. */
export function readWholePolicy(text: string, names: PolicyNames): Policy {
  const cursor = new Cursor(text);
  const policy = new PolicyParser(cursor, names).union();
  cursor.expectEnd();
  return policy;
}

class PolicyParser {
  constructor(
    private readonly cursor: Cursor,
    private readonly names: PolicyNames,
  ) {}

  union(): Policy {
    const { cursor } = this;
    return cursor.nested(() => {
      const start = cursor.skip();
      const parts = [this.#intersection()];
      while (cursor.accept("|")) parts.push(this.#intersection());
      return cursor.checked(start, () => union(...parts));
    });
  }

  score(): ReturnType<typeof readScore> {
    return readScore(this.cursor, this.names);
  }

  #intersection(): Policy {
    const { cursor } = this;
    const start = cursor.skip();
    let parts = [this.#unary()];
    for (;;) {
      if (cursor.accept("&")) parts.push(this.#unary());
      else if (cursor.accept("-")) {
        const right = this.#unary();
        parts = [cursor.checked(start, () => minus(intersect(...parts), right))];
      } else return cursor.checked(start, () => intersect(...parts));
    }
  }

  #unary(): Policy {
    const { cursor } = this;
    const start = cursor.skip();
    if (!cursor.accept("!")) return this.#atom();
    const of = cursor.nested(() => this.#unary());
    return cursor.checked(start, () => not(of));
  }

  #atom(): Policy {
    const { cursor, names } = this;
    if (cursor.accept("(")) {
      const policy = this.union();
      cursor.expect(")");
      return policy;
    }
    const start = cursor.skip();
    const name = takeKnown(cursor, [...ATOM_NAMES, ...names.policyNames, ...names.wholeNames.keys()]);
    if (name === null) this.#unknown(start);
    const atom = Object.hasOwn(ATOMS, name) ? ATOMS[name] : undefined;
    if (atom !== undefined) return cursor.checked(start, () => atom(this, cursor));
    const plugin = names.policy(name);
    if (plugin !== null) return plugin.build(cursor.list(() => readAmount(cursor)));
    this.cursor.fail(
      start,
      `"${name}" is a ${names.wholeNames.get(name) ?? "preset"}, which decides for each head; use it by itself`,
    );
  }

  #unknown(start: number): never {
    const { cursor, names } = this;
    const name = cursor.peek(/[A-Za-z_]\w*(?:[+-][A-Za-z_]\w*)*/y)?.slice(0, 60);
    if (name === undefined) this.cursor.fail(start, `expected a policy, found ${cursor.found()}`);
    const known = [...ATOM_NAMES, ...names.policyNames];
    const whole = [...names.wholeNames.keys()].filter((one) => !known.includes(one));
    this.cursor.fail(
      start,
      `${unknownName("policy", name, known, nearest(name, [...known, ...whole]))}; by themselves: ${whole.join(", ")}`,
    );
  }
}

/**
 * Take the longest of some names that stands here, or null. Names of plug-ins and presets may have signs in them, as
 * `heavy-hitter` has; `special-recent(4)` is still a difference.
 */
export function takeKnown(cursor: Cursor, names: Iterable<string>): string | null {
  const run = cursor.peek(/[\w+-]{1,200}/y) ?? "";
  const standing = [...names].filter((name) => run.startsWith(name) && !/^[\w+]/.test(run.slice(name.length)));
  const longest = standing.reduce((best, name) => (name.length > best.length ? name : best), "");
  return longest === "" ? null : cursor.take(longest.length);
}

function readTokens(cursor: Cursor): Policy {
  const start = cursor.skip();
  // A slash does not end a pattern within [ ] or behind a backslash.
  const pattern = cursor.match(/\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y);
  if (pattern !== null) {
    const end = pattern.lastIndexOf("/");
    return cursor.checked(start, () => tokens(regularExpression(pattern.slice(1, end), pattern.slice(end + 1))));
  }
  const ids = [cursor.whole(0)];
  while (cursor.accept(",")) ids.push(cursor.whole(0));
  return cursor.checked(start, () => tokens(ids));
}

function regularExpression(source: string, flags: string): RegExp {
  try {
    return new RegExp(source, flags);
  } catch (cause) {
    throw new WinnowError("policy", `/${source}/${flags} is not a regular expression`, { cause });
  }
}
