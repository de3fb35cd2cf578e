import { formatAmount } from "./amount";
import { isFrequent, type PolicyNode } from "./policy-node";
import { formatScore } from "./score";
import { formatTokenSet } from "./token-set";

/** How strongly a policy's text binds: `|` least, then `&` and `-`, then `!`, then atoms. */
const UNION = 0;
const INTERSECTION = 1;
const NEGATION = 2;
const ATOM = 3;

/** A policy in canonical text, whose parts are canonical already. */
export function formatNode(node: PolicyNode): string {
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
      return `!${formatAt(node.of, NEGATION)}`;
    case "or":
      return node.of.map((part) => formatAt(part, INTERSECTION)).join(" | ");
    case "and":
      return node.of.map((part, i) => formatAt(part, i === 0 ? INTERSECTION : NEGATION)).join(" & ");
    case "minus":
      return `${formatAt(node.left, INTERSECTION)} - ${formatAt(node.right, NEGATION)}`;
    case "limit":
      return `limit(${formatNode(node.of)}, ${formatAmount(node.amount)}, by ${formatScore(node.score)})`;
  }
}

function formatAt(node: PolicyNode, level: number): string {
  return levelOf(node) < level ? `(${formatNode(node)})` : formatNode(node);
}

function levelOf(node: PolicyNode): number {
  switch (node.kind) {
    case "or":
      return UNION;
    case "and":
    case "minus":
      return INTERSECTION;
    case "not":
      return NEGATION;
    default:
      return ATOM;
  }
}
