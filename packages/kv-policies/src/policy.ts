import { evaluate, type Expr, type SlotView } from "@winnow/core-tensor";

import { amountOf, count, formatAmount, slotsOf, type Amount, type AmountLike } from "./amount";
import { formatScore, STATISTICS } from "./score";
import { formatTokenSet, TokenClass, type TokenClasses, type TokenSet } from "./token-class";

/** Who competes in a ranking: the slots of one head, or of all heads of its layer. */
export type RankScope = "head" | "layer";

/** A policy as data. */
export type PolicyNode =
  | { readonly kind: "full" }
  | { readonly kind: "none" }
  | { readonly kind: "special" }
  | { readonly kind: "punctuation" }
  | { readonly kind: "tokens"; readonly set: TokenSet }
  | { readonly kind: "sink"; readonly count: number }
  | { readonly kind: "every"; readonly period: number; readonly offset: number }
  | { readonly kind: "top"; readonly score: Expr; readonly amount: Amount; readonly scope: RankScope }
  | { readonly kind: "recent"; readonly amount: Amount }
  | { readonly kind: "not"; readonly of: PolicyNode }
  | { readonly kind: "and" | "or"; readonly of: readonly PolicyNode[] }
  | { readonly kind: "minus"; readonly left: PolicyNode; readonly right: PolicyNode }
  | { readonly kind: "limit"; readonly of: PolicyNode; readonly amount: Amount; readonly score: Expr };

/** The slots of one KV head, with what a policy's ratios and classes refer to. */
export interface HeadView extends SlotView {
  /** Prompt tokens read so far: what `recent(30%)` is a share of. */
  readonly promptTokens: number;
  /** Tokens read so far, evicted ones included: what `frequent(30%)` is a share of. */
  readonly length: number;
  readonly classes: TokenClasses;
}

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

  constructor(readonly node: PolicyNode) {
    this.text = formatNode(node);
  }

  equals(other: Policy): boolean {
    return this.text === other.text;
  }

  /** The meaning of the policy: 1 for each slot of the view that it keeps. */
  keep(head: HeadView): Uint8Array {
    return keepNode(this.node, head);
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

/** Tokens by id or by a pattern over their text. */
export function tokens(set: readonly number[] | RegExp): Policy {
  if (set instanceof RegExp) {
    // A pattern with a memory of its last match would answer differently every other time.
    return new Policy({ kind: "tokens", set: { kind: "pattern", source: set.source, flags: set.flags.replaceAll(/[gy]/g, "") } });
  }
  return new Policy({ kind: "tokens", set: { kind: "ids", ids: [...new Set(set)].sort((a, b) => a - b) } });
}

/** The first `n` positions, which soak up attention that has nowhere to go (StreamingLLM, arXiv 2309.17453). */
export const sink = (n: number): Policy => new Policy({ kind: "sink", count: count(n).value });

/** Every position p with p mod period = offset. */
export function every(period: number, offset = 0): Policy {
  return new Policy({ kind: "every", period: count(period).value, offset: offset === 0 ? 0 : count(offset).value % period });
}

/** The slots of greatest score; a ratio refers to all tokens so far. Ties go to the earlier position. */
export const top = (score: string | Expr, x: AmountLike, scope: RankScope = "head"): Policy =>
  new Policy({ kind: "top", score: scoreOf(score), amount: amountOf(x), scope });

/** The heavy hitters (H2O, arXiv 2306.14048): `top("mass", x)`. */
export const frequent = (x: AmountLike): Policy => top("mass", x);

/** The slots less than w positions behind the newest; a ratio refers to the prompt. */
export const recent = (x: AmountLike): Policy => new Policy({ kind: "recent", amount: amountOf(x) });

export const not = (policy: Policy): Policy => new Policy(negate(policy.node));
export const union = (...policies: readonly Policy[]): Policy => new Policy(combine("or", policies));
export const intersect = (...policies: readonly Policy[]): Policy => new Policy(combine("and", policies));
export const minus = (left: Policy, right: Policy): Policy =>
  new Policy({ kind: "minus", left: left.node, right: right.node });

/** At most so many of a policy's slots, those of greatest score. */
export const limit = (policy: Policy, x: AmountLike, by: string | Expr): Policy =>
  new Policy({ kind: "limit", of: policy.node, amount: amountOf(x), score: scoreOf(by) });

function scoreOf(score: string | Expr): Expr {
  if (typeof score !== "string") return score;
  return STATISTICS[score]?.expr ?? { op: "column", name: score };
}

function negate(node: PolicyNode): PolicyNode {
  switch (node.kind) {
    case "not":
      return node.of;
    case "full":
      return { kind: "none" };
    case "none":
      return { kind: "full" };
    default:
      return { kind: "not", of: node };
  }
}

const ORDER = ["full", "none", "special", "punctuation", "tokens", "sink", "every", "top", "recent"];

/** Place in canonical order: atoms as listed, `frequent` before other rankings, then composites by their text. */
function rankOf(node: PolicyNode): number {
  const place = ORDER.indexOf(node.kind);
  if (place < 0) return ORDER.length + 1;
  return node.kind === "top" && isFrequent(node) ? place - 0.5 : place;
}

function combine(kind: "and" | "or", policies: readonly Policy[]): PolicyNode {
  const flat = policies.flatMap(({ node }) => (node.kind === kind ? node.of : [node]));
  const [neutral, absorbing] = kind === "or" ? (["none", "full"] as const) : (["full", "none"] as const);
  if (flat.some((node) => node.kind === absorbing)) return { kind: absorbing };
  const byText = new Map(flat.filter((node) => node.kind !== neutral).map((node) => [formatNode(node), node]));
  const parts = [...byText].sort(([a, x], [b, y]) => rankOf(x) - rankOf(y) || (a < b ? -1 : 1)).map(([, node]) => node);
  const [first] = parts;
  if (first === undefined) return { kind: neutral };
  return parts.length === 1 ? first : { kind, of: parts };
}

function isFrequent(node: Extract<PolicyNode, { kind: "top" }>): boolean {
  return node.scope === "head" && node.score.op === "column" && node.score.name === "mass";
}

/** Binding strength: `|` least, then `&` and `-`, then `!`, then atoms. */
function levelOf(node: PolicyNode): number {
  switch (node.kind) {
    case "or":
      return 0;
    case "and":
    case "minus":
      return 1;
    case "not":
      return 2;
    default:
      return 3;
  }
}

function formatNode(node: PolicyNode): string {
  const at = (part: PolicyNode, level: number): string =>
    levelOf(part) < level ? `(${formatNode(part)})` : formatNode(part);
  switch (node.kind) {
    case "full":
    case "none":
    case "special":
    case "punctuation":
      return node.kind;
    case "tokens":
      return `tokens(${formatTokenSet(node.set)})`;
    case "sink":
      return `sink(${node.count})`;
    case "every":
      return node.offset === 0 ? `every(${node.period})` : `every(${node.period}, ${node.offset})`;
    case "top":
      if (isFrequent(node)) return `frequent(${formatAmount(node.amount)})`;
      return `top(${formatScore(node.score)}, ${formatAmount(node.amount)}${node.scope === "layer" ? ", layer" : ""})`;
    case "recent":
      return `recent(${formatAmount(node.amount)})`;
    case "not":
      return `!${at(node.of, 2)}`;
    case "or":
      return node.of.map((part) => at(part, 1)).join(" | ");
    case "and":
      return node.of.map((part, i) => at(part, i === 0 ? 1 : 2)).join(" & ");
    case "minus":
      return `${at(node.left, 1)} - ${at(node.right, 2)}`;
    case "limit":
      return `limit(${formatNode(node.of)}, ${formatAmount(node.amount)}, by ${formatScore(node.score)})`;
  }
}

function keepNode(node: PolicyNode, head: HeadView): Uint8Array {
  const where = (test: (slot: number) => boolean): Uint8Array =>
    Uint8Array.from({ length: head.count }, (_, slot) => (test(slot) ? 1 : 0));
  const position = (slot: number): number => head.position[slot] ?? 0;
  const hasClass = (bit: number): Uint8Array => where((slot) => ((head.flags[slot] ?? 0) & bit) !== 0);
  switch (node.kind) {
    case "full":
      return where(() => true);
    case "none":
      return where(() => false);
    case "special":
      return hasClass(TokenClass.special);
    case "punctuation":
      return hasClass(TokenClass.punctuation);
    case "tokens":
      return hasClass(head.classes.bitOf(node.set));
    case "sink":
      return where((slot) => position(slot) < node.count);
    case "every":
      return where((slot) => position(slot) % node.period === node.offset);
    case "recent": {
      const window = slotsOf(node.amount, head.promptTokens);
      return where((slot) => head.now - position(slot) < window);
    }
    case "top":
      return greatest(where(() => true), evaluate(node.score, head), slotsOf(node.amount, head.length), head);
    case "limit":
      return greatest(keepNode(node.of, head), evaluate(node.score, head), slotsOf(node.amount, head.length), head);
    case "not": {
      const of = keepNode(node.of, head);
      return where((slot) => of[slot] === 0);
    }
    case "minus": {
      const left = keepNode(node.left, head);
      const right = keepNode(node.right, head);
      return where((slot) => left[slot] === 1 && right[slot] === 0);
    }
    case "and": {
      const parts = node.of.map((part) => keepNode(part, head));
      return where((slot) => parts.every((part) => part[slot] === 1));
    }
    case "or": {
      const parts = node.of.map((part) => keepNode(part, head));
      return where((slot) => parts.some((part) => part[slot] === 1));
    }
  }
}

/** Of the candidates, the k of greatest score; a score that is not a number comes last. */
function greatest(candidates: Uint8Array, scores: Float32Array, k: number, head: HeadView): Uint8Array {
  const score = (slot: number): number => {
    const value = scores[slot] ?? NaN;
    return Number.isNaN(value) ? -Infinity : value;
  };
  const ranked = [...candidates.keys()]
    .filter((slot) => candidates[slot] === 1)
    .sort((a, b) => {
      if (score(a) !== score(b)) return score(a) > score(b) ? -1 : 1;
      return (head.position[a] ?? 0) - (head.position[b] ?? 0);
    });
  const kept = new Uint8Array(head.count);
  for (const slot of ranked.slice(0, k)) kept[slot] = 1;
  return kept;
}
