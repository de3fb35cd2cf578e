import { isFrequent, type PolicyNode } from "./policy-node";
import { formatNode } from "./policy-text";

/** Atoms in the order in which a text lists them. */
const ORDER = ["full", "none", "special", "punctuation", "tokens", "sink", "every", "frequent", "top", "recent"];

/** Place in canonical order: atoms as listed, then composites. */
function placeOf(node: PolicyNode): number {
  const place = ORDER.indexOf(isFrequent(node) ? "frequent" : node.kind);
  return place < 0 ? ORDER.length : place;
}

/**
 * A union or an intersection in its one form: flattened, without doubles, in order, without what changes nothing. Only
 * laws are used that hold for any sets at all.
 */
export function combine(kind: "and" | "or", nodes: readonly PolicyNode[]): PolicyNode {
  const flat = nodes.flatMap((node) => (node.kind === kind ? node.of : [node]));
  const [neutral, absorbing] = kind === "or" ? (["none", "full"] as const) : (["full", "none"] as const);
  if (flat.some((node) => node.kind === absorbing)) return { kind: absorbing };
  const byText = new Map(flat.filter((node) => node.kind !== neutral).map((node) => [formatNode(node), node]));
  const parts = [...byText]
    .sort(([a, x], [b, y]) => placeOf(x) - placeOf(y) || (a < b ? -1 : 1))
    .map(([, node]) => node);
  const [first] = parts;
  if (first === undefined) return { kind: neutral };
  return parts.length === 1 ? first : { kind, of: parts };
}

export function negate(node: PolicyNode): PolicyNode {
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

export function subtract(left: PolicyNode, right: PolicyNode): PolicyNode {
  if (right.kind === "none") return left;
  if (right.kind === "full" || left.kind === "none") return { kind: "none" };
  if (left.kind === "full") return negate(right);
  return { kind: "minus", left, right };
}
