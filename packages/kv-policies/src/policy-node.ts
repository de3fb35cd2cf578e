import type { Expr } from "@winnow/core-tensor";

import type { Amount } from "./amount";
import type { TokenSet } from "./token-set";

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

/** The policies that a policy is made of; none of an atom's. */
export function partsOf(node: PolicyNode): readonly PolicyNode[] {
  switch (node.kind) {
    case "not":
    case "limit":
      return [node.of];
    case "and":
    case "or":
      return node.of;
    case "minus":
      return [node.left, node.right];
    default:
      return [];
  }
}

/** A policy and everything it is made of. */
export function nodesOf(node: PolicyNode): PolicyNode[] {
  return [node, ...partsOf(node).flatMap(nodesOf)];
}

/** Operators between the policy and its deepest atom. */
export function depthOf(node: PolicyNode): number {
  return partsOf(node).reduce((deepest, part) => Math.max(deepest, 1 + depthOf(part)), 0);
}

/** Whether a ranking is what `frequent` is short for. */
export function isFrequent(node: PolicyNode): boolean {
  return node.kind === "top" && node.scope === "head" && node.score.op === "column" && node.score.name === "mass";
}
