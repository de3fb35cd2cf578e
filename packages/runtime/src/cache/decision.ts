import type { Amount, Policy, Strategy } from "@winnow/kv-policies";

/** Who decides what a head keeps. */
export type Decision =
  /** The first candidate whose measured recovery reaches the threshold; the first of all without one. */
  | { readonly kind: "search"; readonly candidates: readonly Policy[]; readonly threshold: number | null }
  /** Every slot that some profiled row gave more than `weight` of its attention, as a share of each head's. */
  | {
      readonly kind: "greatest";
      readonly weight: number;
      readonly keeping: (x: Amount | null, tokens: number) => Policy;
    }
  /** A plan made earlier, by layer and KV head; nothing is measured. */
  | { readonly kind: "plan"; readonly heads: readonly (readonly Policy[])[] }
  /** A plug-in that sees all heads of a layer at once. */
  | { readonly kind: "strategy"; readonly strategy: Strategy; readonly threshold: number | null };

/** The policies that a decision may choose, as far as they are known beforehand. */
export function policiesOf(decision: Decision): readonly Policy[] {
  switch (decision.kind) {
    case "search":
      return decision.candidates;
    case "plan":
      return decision.heads.flat();
    case "greatest":
    case "strategy":
      return [];
  }
}
