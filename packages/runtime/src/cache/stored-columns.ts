import { columnsOf, constant, withWaiting, type StoredColumn } from "@winnow/core-tensor";
import { columnsNeeded, compile, type Policy } from "@winnow/kv-policies";

import { withNeeds } from "./angle";
import type { CachePolicy } from "./cache-policy";
import type { Choice, CutJudge } from "./cut-judge";
import { upgradesOf } from "./upgrade-chain";

/** What decides which columns a head stores, besides its policy. */
export interface ColumnUse {
  /** While a head has dropped nothing, position and slot are one. */
  readonly dropped: boolean;
  /** In a window slots will be dropped, whatever the policy. */
  readonly windowed: boolean;
  /** Columns that every head of the layer stores. */
  readonly shared: ReadonlySet<string>;
  /** Policies that the head may be given while it generates. */
  readonly upgrades: readonly Policy[];
}

/** What a head stores beside its slots from the cut on. */
export function storedColumns(
  policy: Policy,
  { dropped, windowed, shared, upgrades }: ColumnUse,
  { generated, drift, registry }: Pick<CachePolicy, "generated" | "drift" | "registry">,
): readonly StoredColumn[] {
  if (generated === "keep") return withWaiting(new Set(dropped || windowed ? ["position"] : []));
  const needs = [policy, ...upgrades].map(columnsNeeded);
  const stored = needs.flatMap((need) => need.stored);
  const custom = needs.flatMap((need) => need.custom);
  const position = windowed ? ["position"] : [];
  // A head that keeps everything has nothing that it could come to miss.
  const weighed = drift === "upgrade" && policy.node.kind !== "full" ? ["lastMass"] : [];
  return withWaiting(
    new Set<string>([...position, ...weighed, ...stored, ...withNeeds([...shared, ...custom], registry)]),
  );
}

/** Columns that every head of a layer has to store, because a head's policy ranks the slots of all of them. */
export function sharedColumns(
  { sequence, scores }: Pick<CutJudge, "sequence" | "scores">,
  choices: readonly Choice[],
): ReadonlySet<string> {
  const upgrades = choices.flatMap((choice) => upgradesOf(sequence, choice));
  const context = sequence.compileContext(scores);
  const programs = [...choices.map(({ program }) => program), ...upgrades.map((policy) => compile(policy, context))];
  const ranks = programs.flatMap((program) => program.ranks).filter(({ scope }) => scope === "layer");
  return new Set(ranks.flatMap(({ score }) => columnsOf(scores.expressions[score] ?? constant(0))));
}
