import { WinnowError, type Expr } from "@winnow/core-tensor";

import { amountOf, count, type AmountLike } from "./amount";
import { combine, negate, subtract } from "./canonical";
import type { HeadView } from "./head-view";
import { keepNode } from "./keep";
import { depthOf, type PolicyNode, type RankScope } from "./policy-node";
import { formatNode } from "./policy-text";
import { checkScore } from "./score-check";
import { readWholeScore } from "./score-parser";
import { tokenSetOf } from "./token-set";

/** No policy that a device runs is nearly so deep; a text of it could not be read back. */
const MAX_DEPTH = 64;

/**
 * Which slots of a KV cache a head keeps: a Boolean combination of sets. Policies are immutable, and equal when their
 * canonical texts are.
 *
 * @example
 * ```ts
 * const policy = union(special(), punctuation(), frequent(0.3), recent(0.3));
 * policy.text; // "special | punctuation | frequent(30%) | recent(30%)"
 * ```
 */
export class Policy {
  /** Canonical text; `parsePolicy` reads it back. */
  readonly text: string;

  /** Use the functions of the algebra instead: they keep to the canonical form. */
  constructor(readonly node: PolicyNode) {
    if (depthOf(node) > MAX_DEPTH)
      throw new WinnowError("policy", `a policy is nested more than ${MAX_DEPTH} deep; use fewer terms`);
    this.text = formatNode(node);
  }

  equals(other: Policy): boolean {
    return this.text === other.text;
  }

  /**
   * The meaning of the policy: 1 for each slot of the view that it keeps.
   *
   * @param layer the views of all heads of the layer, the head's own among them: for rankings with the scope `layer`.
   * @throws WinnowError `range` when the view lacks a column that a score reads, `policy` when its classes do not know a
   * set of tokens.
   */
  keep(head: HeadView, layer: readonly HeadView[] = [head]): Uint8Array {
    return keepNode(this.node, head, layer);
  }

  toString(): string {
    return this.text;
  }
}

/** Keeps every slot: the full cache. */
export const full = (): Policy => new Policy({ kind: "full" });
/** Keeps nothing. */
export const none = (): Policy => new Policy({ kind: "none" });
/** The tokenizer's special tokens (FastGen, arXiv 2310.01801, section 3.2). */
export const special = (): Policy => new Policy({ kind: "special" });
/** Tokens of punctuation alone (FastGen, section 3.2). */
export const punctuation = (): Policy => new Policy({ kind: "punctuation" });

/**
 * Tokens by id, or by a pattern over their text. A cache has to know of the set before it reads a prompt: see
 * {@link TokenClasses.reserve}.
 *
 * @throws WinnowError `policy` when there is no id, or one that no vocabulary has.
 * @example tokens(/^\s*\d+$/); // numbers
 */
export const tokens = (set: readonly number[] | RegExp): Policy => new Policy({ kind: "tokens", set: tokenSetOf(set) });

/**
 * The first `n` positions, which soak up attention that has nowhere to go (StreamingLLM, arXiv 2309.17453, section 3.1).
 *
 * @param n a whole number of at least 1.
 */
export const sink = (n: number): Policy => new Policy({ kind: "sink", count: count(n).value });

/**
 * Every position p with p mod period = offset mod period.
 *
 * @param period a whole number of at least 1.
 * @param offset a whole number of at least 0.
 */
export function every(period: number, offset = 0): Policy {
  return new Policy({
    kind: "every",
    period: count(period).value,
    offset: offset === 0 ? 0 : count(offset).value % period,
  });
}

/**
 * The slots of greatest score; ties go to the earlier position, a score that is not a number comes last. A ratio refers
 * to all tokens so far, evicted ones included.
 *
 * @param score its text, or an expression, which may also read the columns of plug-ins.
 * @param scope with `layer`, the heads of a layer share their slots: each brings `x`, and the best of all are kept
 * (Ada-KV, arXiv 2407.11550).
 * @throws WinnowError `policy` when the score does not parse or the amount is out of range.
 */
export const top = (score: string | Expr, x: AmountLike, scope: RankScope = "head"): Policy =>
  new Policy({ kind: "top", score: scoreOf(score), amount: amountOf(x), scope });

/** The heavy hitters (H2O, arXiv 2306.14048): `top("mass", x)`. */
export const frequent = (x: AmountLike): Policy => top("mass", x);

/** The slots less than w positions behind the newest; a ratio refers to the prompt. */
export const recent = (x: AmountLike): Policy => new Policy({ kind: "recent", amount: amountOf(x) });

/** What a policy drops. */
export const not = (policy: Policy): Policy => new Policy(negate(policy.node));
/** What any of the policies keeps; nothing for none of them. */
export const union = (...policies: readonly Policy[]): Policy => new Policy(combine("or", policies.map(nodeOf)));
/** What all of the policies keep; everything for none of them. */
export const intersect = (...policies: readonly Policy[]): Policy => new Policy(combine("and", policies.map(nodeOf)));
/** What the left policy keeps and the right one does not. */
export const minus = (left: Policy, right: Policy): Policy => new Policy(subtract(left.node, right.node));

/** At most so many of a policy's slots, those of greatest score; amounts and ties are those of {@link top}. */
export const limit = (policy: Policy, x: AmountLike, by: string | Expr): Policy =>
  new Policy({ kind: "limit", of: policy.node, amount: amountOf(x), score: scoreOf(by) });

const nodeOf = ({ node }: Policy): PolicyNode => node;

function scoreOf(score: string | Expr): Expr {
  return typeof score === "string" ? readWholeScore(score) : checkScore(score);
}
