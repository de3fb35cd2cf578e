import type { SelectProgram } from "@winnow/core-tensor";
import { columnsNeeded, type PolicyRegistry } from "@winnow/kv-policies";
import { bandsOf, type ProfiledRows } from "@winnow/profiler";

import type { CachePolicy } from "./cache-policy";
import type { CutDecision } from "./cut-decision";
import { isVector, type VectorName } from "./head-vectors";

/** What is to be seen of a prompt so that a policy can decide: which rows are profiled, and what is noted of each slot. */
export interface Angle {
  readonly profiled: ProfiledRows;
  /** The windows that cut a mass table into bands; null where recovery is not measured. */
  readonly bands: readonly number[] | null;
  /** Columns of the slots: recorded in attention, computed from keys and values, or by plug-ins. */
  readonly columns: readonly string[];
  /** What plug-ins read besides columns. */
  readonly vectors: readonly VectorName[];
}

/**
 * @param programs the decision's candidates, for a prompt of this length.
 */
export function angleOf(
  { registry, reading }: Pick<CachePolicy, "registry" | "reading">,
  decision: CutDecision,
  programs: readonly SelectProgram[],
  profiled: ProfiledRows,
): Angle {
  const named = [...decision.policies.flatMap((policy) => columnNames(columnsNeeded(policy))), ...decision.needs];
  const names = withNeeds(named, registry);
  return {
    profiled,
    bands: decision.measures ? bandsOf(programs, reading) : null,
    columns: names.filter((name) => name !== "position" && !isVector(name)),
    vectors: names.filter(isVector),
  };
}

/** What is read, with what the statistics among it are computed from. */
export function withNeeds(names: readonly string[], registry: PolicyRegistry): string[] {
  return [...new Set([...names, ...registry.computed([...names]).flatMap((statistic) => statistic.needs)])];
}

/** Every column that a policy reads. */
export function columnNames({ stored, computed, custom }: ReturnType<typeof columnsNeeded>): string[] {
  return [...stored, ...computed, ...custom];
}
