import type { Expr } from "@winnow/core-tensor";

import { Cursor, unknownName } from "./cursor";
import { STATISTICS, statistic } from "./score";
import { SCORE_FUNCTIONS, checkScore } from "./score-check";
import { nearest } from "./syntax-error";

/** Statistics beyond the standard ones that a text may name. */
export interface ScoreNames {
  readonly statisticNames: readonly string[];
  /** The score of that name, or null. */
  score(name: string): Expr | null;
}

const NO_NAMES: ScoreNames = { statisticNames: [], score: () => null };

/** Read a text that is a score and nothing else. */
export function readWholeScore(text: string, names: ScoreNames = NO_NAMES): Expr {
  const cursor = new Cursor(text);
  const score = readScore(cursor, names);
  cursor.expectEnd();
  return score;
}

/** Read a score: sums of products of names, numbers, functions and parentheses. */
export function readScore(cursor: Cursor, names: ScoreNames): Expr {
  const start = cursor.skip();
  const score = new ScoreParser(cursor, names).sum();
  return cursor.checked(start, () => checkScore(score));
}

class ScoreParser {
  constructor(
    private readonly cursor: Cursor,
    private readonly names: ScoreNames,
  ) {}

  sum(): Expr {
    return this.cursor.nested(() => {
      let left = this.#product();
      for (;;) {
        if (this.cursor.accept("+")) left = { op: "add", left, right: this.#product() };
        else if (this.cursor.accept("-")) left = { op: "sub", left, right: this.#product() };
        else return left;
      }
    });
  }

  #product(): Expr {
    let left = this.#factor();
    for (;;) {
      if (this.cursor.accept("*")) left = { op: "mul", left, right: this.#factor() };
      else if (this.cursor.accept("/")) left = { op: "div", left, right: this.#factor() };
      else return left;
    }
  }

  #factor(): Expr {
    const { cursor } = this;
    if (cursor.accept("-")) return cursor.nested(() => ({ op: "neg", of: this.#factor() }));
    if (cursor.accept("(")) {
      const inner = this.sum();
      cursor.expect(")");
      return inner;
    }
    const start = cursor.skip();
    const number = cursor.match(/\d+(?:\.\d+)?(?:e[+-]?\d+)?/y);
    if (number !== null) return { op: "constant", value: Number(number) };
    const name = cursor.match(/[A-Za-z_]\w*/y);
    if (name === null) this.cursor.fail(start, `expected a score, found ${cursor.found()}`);
    return this.#named(name, start);
  }

  #named(name: string, start: number): Expr {
    const { cursor, names } = this;
    switch (name) {
      case "abs":
      case "sqrt":
      case "exp":
      case "log":
        return { op: name, of: cursor.inParentheses(() => this.sum()) };
      case "min":
      case "max":
        return cursor.inParentheses(() => {
          const left = this.sum();
          cursor.expect(",");
          return { op: name, left, right: this.sum() };
        });
      case "random":
        return { op: "random", seed: cursor.inParentheses(() => cursor.whole(0)) };
    }
    const expr = statistic(name) ?? names.score(name);
    if (expr !== null) return expr;
    const known = [...Object.keys(STATISTICS), ...names.statisticNames, ...SCORE_FUNCTIONS];
    this.cursor.fail(start, unknownName("score", name, known, nearest(name, known)));
  }
}
