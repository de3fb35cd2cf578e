import type { CutPoint } from "../cut-point";
import type { FirstToken } from "../first-token";
import type { EvalResult } from "../results";
import type { Versus } from "../versus";

/** Everything that an evaluation found. */
export interface EvalReport {
  readonly model: string;
  readonly backend: string;
  /** What of conversations had been read when they were cut. */
  readonly question: CutPoint;
  readonly seed: number;
  /** The most tokens of a context. */
  readonly tokens: number;
  readonly results: readonly EvalResult[];
  /** One policy beside the others; null where there is nothing to compare. */
  readonly versus: Versus | null;
  /** How long policies take before an answer begins; empty where it was not asked for. */
  readonly firstToken: readonly FirstToken[];
}

/** Results of one task, and of those the lines of each policy. */
export function byTask({ results }: EvalReport): ReadonlyMap<string, readonly EvalResult[]> {
  return grouped(results, ({ task }) => task);
}

export function byPolicy<T extends { readonly policy: string }>(
  lines: readonly T[],
): ReadonlyMap<string, readonly T[]> {
  return grouped(lines, ({ policy }) => policy);
}

function grouped<T>(of: readonly T[], key: (one: T) => string): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>();
  for (const one of of) groups.set(key(one), [...(groups.get(key(one)) ?? []), one]);
  return groups;
}

/** A result whose difference from the full cache is no accident, over the whole table. */
export function differs({ p }: EvalResult): boolean {
  return p !== null && p < 0.05;
}
