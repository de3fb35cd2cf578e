import type { Policy, Strategy } from "@winnow/kv-policies";

import type { Decision } from "./decision";
import { decisionInForce } from "./decision-in-force";
import type { Sequence } from "./sequence";
import { upgradesOf } from "./upgrade-chain";

/** How a prompt that is being read is cut. */
export type CutDecision = {
  /** Policies to be priced together. */
  readonly candidates: readonly Policy[];
  /** Every policy that a head may follow: their columns are recorded. */
  readonly policies: readonly Policy[];
  /** Columns that are needed besides. */
  readonly needs: readonly string[];
  /** Whether recovery is measured. */
  readonly measures: boolean;
} & (
  | { readonly kind: "search"; readonly threshold: number | null }
  | Extract<Decision, { kind: "greatest" }>
  /** Each head's policy is given, by layer and KV head. */
  | { readonly kind: "given"; readonly heads: readonly (readonly Policy[])[] }
  | { readonly kind: "strategy"; readonly strategy: Strategy; readonly threshold: number | null }
  /** Heads go on with the policy they have. */
  | { readonly kind: "carryOn" }
);

/** A later part of a prompt is profiled again when it is at least so long, and at least as long as all before it. */
const LEAST_ROWS = 64;

/** What is to be decided about `rowCount` new rows of a prompt. */
export function cutDecision(sequence: Sequence, rowCount: number): CutDecision {
  const decision = decisionInForce(sequence);
  const before = sequence.tokens.length;
  if (before > 0 && (rowCount < Math.max(LEAST_ROWS, before) || decision.kind === "plan")) {
    const policies =
      sequence.policy.generated === "keep"
        ? []
        : sequence.heads.flat().flatMap((head) => [head.policy, ...upgradesOf(sequence, head)]);
    return { kind: "carryOn", candidates: [], policies, needs: [], measures: false };
  }
  return decisionFor(sequence, decision);
}

/** A decision over a prompt that is cut as a whole. */
export function decisionFor(sequence: Sequence, decision: Decision, { target } = sequence.policy): CutDecision {
  // Bands follow a policy's windows, so the table that would price a budget differs with it: its price is its bytes.
  const measures = target?.turned.kind !== "budget";
  switch (decision.kind) {
    case "plan":
      return {
        kind: "given",
        heads: decision.heads,
        candidates: [],
        policies: decision.heads.flat(),
        needs: [],
        measures: false,
      };
    case "greatest":
      return { ...decision, candidates: [], policies: [], needs: ["maxWeight"], measures };
    case "strategy": {
      const { strategy, threshold } = decision;
      return {
        kind: "strategy",
        strategy,
        threshold,
        candidates: [],
        policies: [],
        needs: strategy.needs,
        measures,
      };
    }
    case "search": {
      const { candidates, threshold } = decision;
      const [only] = candidates;
      if (candidates.length === 1 && only?.node.kind === "full") {
        const { layers, engine } = sequence;
        const heads = layers.map(() => Array.from({ length: engine.decoder.shape.heads.kvHeads }, () => only));
        return { kind: "given", heads, candidates: [], policies: [], needs: [], measures: false };
      }
      return { kind: "search", threshold, candidates, policies: candidates, needs: [], measures };
    }
  }
}
