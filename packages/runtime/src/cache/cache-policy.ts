import type { Amount, Policy, PolicyRegistry, Strategy } from "@winnow/kv-policies";

import type { ByteTarget } from "./byte-target";

/** Where the rows come from that a prompt is profiled with. */
export type RowsOption = "prompt" | "late" | "probe";

/** Who decides what a head keeps. */
export type Decision =
  /** The first candidate whose measured recovery reaches the threshold; the first of all without one. */
  | { readonly kind: "search"; readonly candidates: readonly Policy[]; readonly threshold: number | null }
  /** Every slot that some profiled row gave more than `weight` of its attention, as a share of each head's. */
  | { readonly kind: "greatest"; readonly weight: number; readonly keeping: (x: Amount | null) => Policy }
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

/** How a sequence's cache is cut. */
export interface CachePolicy {
  /** As asked for: a preset's name, an expression, `plan`. */
  readonly text: string;
  readonly decision: Decision;
  readonly rows: RowsOption;
  /** Whether `recent(w)` is a window of every profiled row, or what is recent where the prompt is cut. */
  readonly reading: "row" | "cut";
  /** Whether later tokens fall under the policy too, or are all kept. */
  readonly generated: "sweep" | "keep";
  /** How a KV head's recovery follows from its query heads'. */
  readonly group: "min" | "mean";
  /** What the cache may take after a cut of a prompt; null where the decision stands as it is. */
  readonly target: ByteTarget | null;
  /** Knows the statistics that plug-ins compute. */
  readonly registry: PolicyRegistry;
}
