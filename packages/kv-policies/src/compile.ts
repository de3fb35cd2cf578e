import {
  BoolOp,
  COMPUTED_COLUMNS,
  MAX_PROGRAM_WORDS,
  STORED_COLUMNS,
  WinnowError,
  boolWord,
  columnsOf,
  type BoolProgram,
  type Expr,
  type RankTest,
  type SelectProgram,
  type StoredColumn,
} from "@winnow/core-tensor";

import { slotsOf } from "./amount";
import type { Policy, PolicyNode } from "./policy";
import type { ScoreTable } from "./score";
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
}

/**
 * A policy as the data that a device runs: every ratio becomes a number of slots, in float64, on the host.
 *
 * @throws WinnowError `policy` when the policy takes more than 32 words.
 * @example
 * ```ts
 * const scores = new ScoreTable();
 * const program = compile(frequent(0.3), { promptTokens: 100, length: 100, classes, scores });
 * program.ranks[0]; // { score: 0, k: 30, scope: "head" }
 * ```
 */
export function compile(policy: Policy, context: CompileContext): SelectProgram {
  const compiler = new Compiler(context);
  const keep = compiler.words(policy.node);
  if (keep.length > MAX_PROGRAM_WORDS) {
    throw new WinnowError(
      "policy",
      `the policy "${policy.text}" takes ${keep.length} words, and a device runs ${MAX_PROGRAM_WORDS}; use fewer terms`,
    );
  }
  return { ranks: compiler.ranks, keep };
}

class Compiler {
  readonly ranks: RankTest[] = [];

  constructor(private readonly context: CompileContext) {}

  words(node: PolicyNode): BoolProgram {
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
        return [boolWord(BoolOp.hasClass, this.context.classes.bitOf(node.set))];
      case "sink":
        return [boolWord(BoolOp.before, node.count)];
      case "every":
        return [boolWord(BoolOp.every, node.period), node.offset];
      case "recent":
        return [boolWord(BoolOp.near, slotsOf(node.amount, this.context.promptTokens))];
      case "top":
        return [this.#rank(node.score, slotsOf(node.amount, this.context.length), node.scope)];
      case "limit": {
        const within = this.words(node.of);
        return [this.#rank(node.score, slotsOf(node.amount, this.context.length), "head", within)];
      }
      case "not":
        return [...this.words(node.of), boolWord(BoolOp.not)];
      case "minus":
        return [...this.words(node.left), ...this.words(node.right), boolWord(BoolOp.not), boolWord(BoolOp.and)];
      case "and":
      case "or": {
        const operator = boolWord(BoolOp[node.kind]);
        return node.of.flatMap((part, i) => (i === 0 ? this.words(part) : [...this.words(part), operator]));
      }
    }
  }

  #rank(score: Expr, k: number, scope: RankTest["scope"], within?: BoolProgram): number {
    const number = this.context.scores.idOf(score);
    const known = this.ranks.findIndex(
      (test) => test.score === number && test.k === k && test.scope === scope && test.within?.join() === within?.join(),
    );
    if (known >= 0) return boolWord(BoolOp.rank, known);
    this.ranks.push({ score: number, k, scope, ...(within === undefined ? {} : { within }) });
    return boolWord(BoolOp.rank, this.ranks.length - 1);
  }
}

/** The columns that a policy reads, by where they come from. */
export interface ColumnNeeds {
  /** Kept beside each slot, `position` among them unless nothing is ever dropped. */
  readonly stored: readonly StoredColumn[];
  /** Computed from keys and values when they are asked for. */
  readonly computed: readonly string[];
  /** Computed by plug-ins. */
  readonly custom: readonly string[];
}

/** What has to be known of each slot to sweep by a policy. */
export function columnsNeeded(policy: Policy): ColumnNeeds {
  const names = new Set(scoresOf(policy.node).flatMap(columnsOf));
  const { kind } = policy.node;
  if (kind !== "full" && kind !== "none") names.add("position");
  const computed = COMPUTED_COLUMNS.filter((name) => names.has(name));
  const stored = STORED_COLUMNS.filter((name) => names.has(name));
  const known = new Set<string>([...stored, ...computed]);
  return { stored, computed, custom: [...names].filter((name) => !known.has(name)) };
}

function scoresOf(node: PolicyNode): Expr[] {
  switch (node.kind) {
    case "top":
      return [node.score];
    case "limit":
      return [node.score, ...scoresOf(node.of)];
    case "not":
      return scoresOf(node.of);
    case "minus":
      return [...scoresOf(node.left), ...scoresOf(node.right)];
    case "and":
    case "or":
      return node.of.flatMap(scoresOf);
    default:
      return [];
  }
}
