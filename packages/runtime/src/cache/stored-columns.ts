import { columnsOf, constant, withWaiting, type Expr, type StoredColumn } from "@winnow/core-tensor";
import { columnsNeeded, type Policy } from "@winnow/kv-policies";

import { withNeeds } from "./angle";
import type { CachePolicy } from "./cache-policy";
import type { Choice } from "./cut-judge";

/** What decides which columns a head stores, besides its policy. */
export interface ColumnUse {
  /** While a head has dropped nothing, position and slot are one. */
  readonly dropped: boolean;
  /** In a window slots will be dropped, whatever the policy. */
  readonly windowed: boolean;
  /** Columns that every head of the layer stores. */
  readonly shared: ReadonlySet<string>;
}

/** What a head stores beside its slots from the cut on. */
export function storedColumns(
  policy: Policy,
  { dropped, windowed, shared }: ColumnUse,
  { generated, registry }: Pick<CachePolicy, "generated" | "registry">,
): readonly StoredColumn[] {
  if (generated === "keep") return withWaiting(new Set(dropped || windowed ? ["position"] : []));
  const { stored, custom } = columnsNeeded(policy);
  const position = windowed ? ["position"] : [];
  return withWaiting(new Set<string>([...position, ...stored, ...withNeeds([...shared, ...custom], registry)]));
}

/** Columns that every head of a layer has to store, because a head's policy ranks the slots of all of them. */
export function sharedColumns(choices: readonly Choice[], scores: readonly Expr[]): ReadonlySet<string> {
  const ranks = choices.flatMap(({ program }) => program.ranks).filter(({ scope }) => scope === "layer");
  return new Set(ranks.flatMap(({ score }) => columnsOf(scores[score] ?? constant(0))));
}
