import type { Decision } from "./decision";
import type { Sequence } from "./sequence";

/** What a sequence goes by: its policy, or what met its target when it was first cut. */
export function decisionInForce({ policy, fitted }: Pick<Sequence, "policy" | "fitted">): Decision {
  if (fitted === null) return policy.decision;
  const { decision } = policy;
  if (fitted.kind === "budget") return fitted.decision;
  if (fitted.kind === "weight") return decision.kind === "greatest" ? { ...decision, weight: fitted.weight } : decision;
  return decision.kind === "search" ? { ...decision, threshold: fitted.recovery } : decision;
}
