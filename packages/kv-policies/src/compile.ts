import {
  BoolOp,
  MAX_PROGRAM_WORDS,
  WinnowError,
  boolWord,
  type BoolProgram,
  type Expr,
  type RankTest,
  type SelectProgram,
} from "@winnow/core-tensor";

import { slotsOf } from "./amount";
import type { Policy } from "./policy";
import type { PolicyNode } from "./policy-node";
import type { ScoreTable } from "./score-table";
import { TokenClass, type TokenClasses } from "./token-class";

/** What a policy's ratios, classes and scores refer to. */
export interface CompileContext {
  /** Prompt tokens read so far. */
  readonly promptTokens: number;
  /** Tokens read so far, evicted ones included. */
  readonly length: number;
  readonly classes: TokenClasses;
  /** Gives the program's scores their numbers; share one among the heads that are selected together. */
  readonly scores: ScoreTable;
  /** KV heads of a layer, which share the slots of a ranking over the layer; no other policy needs it. */
  readonly kvHeads?: number;
}

/**
 * A policy as the data that a device runs: every ratio becomes a number of slots, in float64, on the host.
 *
 * @throws WinnowError `policy` when the policy takes more than 32 words, when the classes do not know a set of tokens, or
 * when it ranks a layer's slots and `kvHeads` is not given.
 * @example
 * ```ts
 * const scores = new ScoreTable();
 * const program = compile(frequent(0.3), { promptTokens: 100, length: 100, classes, scores });
 * program.ranks[0]; // { score: 0, k: 30, scope: "head" }
 * ```
 */
export function compile(policy: Policy, context: CompileContext): SelectProgram {
  const compiler = new Compiler(policy, context);
  const keep = compiler.program(policy.node);
  return { ranks: compiler.ranks, keep };
}

class Compiler {
  readonly ranks: RankTest[] = [];

  constructor(
    private readonly policy: Policy,
    private readonly context: CompileContext,
  ) {}

  /** A whole program, short enough to run. */
  program(node: PolicyNode): BoolProgram {
    const words = this.#words(node);
    if (words.length > MAX_PROGRAM_WORDS) {
      throw new WinnowError(
        "policy",
        `the policy "${this.policy.text}" takes ${words.length} words, and a device runs ${MAX_PROGRAM_WORDS}; use fewer terms`,
      );
    }
    return words;
  }

  #words(node: PolicyNode): BoolProgram {
    const { promptTokens, length, classes } = this.context;
    switch (node.kind) {
      case "full":
        return [boolWord(BoolOp.constant, 1)];
      case "none":
        return [boolWord(BoolOp.constant, 0)];
      case "special":
        return [boolWord(BoolOp.hasClass, TokenClass.special)];
      case "punctuation":
        return [boolWord(BoolOp.hasClass, TokenClass.punctuation)];
      case "tokens":
        return [boolWord(BoolOp.hasClass, classes.bitOf(node.set))];
      case "sink":
        return [boolWord(BoolOp.before, node.count)];
      case "every":
        return [boolWord(BoolOp.every, node.period), node.offset];
      case "recent":
        return [boolWord(BoolOp.near, slotsOf(node.amount, promptTokens))];
      case "top": {
        const heads = node.scope === "layer" ? this.#kvHeads() : 1;
        return [this.#rank(node.score, heads * slotsOf(node.amount, length), node.scope)];
      }
      case "limit": {
        const within = this.program(node.of);
        return [this.#rank(node.score, slotsOf(node.amount, length), "head", within)];
      }
      case "not":
        return [...this.#words(node.of), boolWord(BoolOp.not)];
      case "minus":
        return [...this.#words(node.left), ...this.#words(node.right), boolWord(BoolOp.not), boolWord(BoolOp.and)];
      case "and":
      case "or": {
        const operator = boolWord(BoolOp[node.kind]);
        return node.of.flatMap((part, i) => (i === 0 ? this.#words(part) : [...this.#words(part), operator]));
      }
    }
  }

  /** The word of a rank test, which is shared where the policy asks the same twice. */
  #rank(score: Expr, k: number, scope: RankTest["scope"], within?: BoolProgram): number {
    const number = this.context.scores.idOf(score);
    const known = this.ranks.findIndex(
      (test) => test.score === number && test.k === k && test.scope === scope && test.within?.join() === within?.join(),
    );
    if (known >= 0) return boolWord(BoolOp.rank, known);
    this.ranks.push({ score: number, k, scope, ...(within === undefined ? {} : { within }) });
    return boolWord(BoolOp.rank, this.ranks.length - 1);
  }

  #kvHeads(): number {
    const { kvHeads } = this.context;
    if (kvHeads === undefined) {
      throw new WinnowError(
        "policy",
        `the policy "${this.policy.text}" ranks the slots of a layer; compile needs kvHeads, the heads that share them`,
      );
    }
    return kvHeads;
  }
}
