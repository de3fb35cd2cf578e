import type { Expr } from "@winnow/core-tensor";

/**
 * The distinct scores of a set of programs: a program names a score by its number here, so that few scores, and few
 * pipelines, serve many heads.
 */
export class ScoreTable {
  readonly #numbers = new Map<string, number>();
  readonly #expressions: Expr[] = [];

  get expressions(): readonly Expr[] {
    return this.#expressions;
  }

  /** The number of a score, given when it is first asked for. */
  idOf(expr: Expr): number {
    const key = JSON.stringify(expr);
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.#expressions.push(expr) - 1;
      this.#numbers.set(key, number);
    }
    return number;
  }
}
