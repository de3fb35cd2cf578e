import { COMPUTED_COLUMNS, STORED_COLUMNS, columnsOf, type StoredColumn } from "@winnow/core-tensor";

import type { Policy } from "./policy";
import { nodesOf } from "./policy-node";
import type { TokenSet } from "./token-set";

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
  const names = new Set(nodesOf(policy.node).flatMap((node) => ("score" in node ? columnsOf(node.score) : [])));
  const { kind } = policy.node;
  if (kind !== "full" && kind !== "none") names.add("position");
  const computed = COMPUTED_COLUMNS.filter((name) => names.has(name));
  const stored = STORED_COLUMNS.filter((name) => names.has(name));
  const known = new Set<string>([...stored, ...computed]);
  return { stored, computed, custom: [...names].filter((name) => !known.has(name)) };
}

/** The sets of tokens that a policy names: `classes.reserve(tokenSetsOf(policy))` before a prompt's flags are made. */
export function tokenSetsOf(policy: Policy): TokenSet[] {
  return nodesOf(policy.node).flatMap((node) => (node.kind === "tokens" ? [node.set] : []));
}
