/** What a policy is held to: a share of the full cache's bytes, a recovery T, or nothing but its own rule. */
export type Limit =
  | { readonly target: null; readonly recovery: null }
  | { readonly target: number; readonly recovery: null }
  | { readonly target: null; readonly recovery: number };

export const OWN: Limit = { target: null, recovery: null };

/** What something with a limit is held to. */
export function limitOf({ target, recovery }: Limit): Limit {
  if (target !== null) return { target, recovery: null };
  return { target, recovery };
}

/** What a column of a table is called: `own`, `50 %` or `T 95 %`. */
export function limitName({ target, recovery }: Limit): string {
  if (target !== null) return percent(target);
  return recovery === null ? "own" : `T ${percent(recovery)}`;
}

/** A policy's name with its limit, where there is one. */
export function limited(policy: string, limit: Limit): string {
  return limit.target === null && limit.recovery === null ? policy : `${policy} at ${limitName(limit)}`;
}

export function sameLimit(a: Limit, b: Limit): boolean {
  return a.target === b.target && a.recovery === b.recovery;
}

/** The limits of some lines: what policies keep by themselves, then recoveries, then targets, the greatest first. */
export function limitsOf(lines: readonly Limit[]): readonly Limit[] {
  const rank = ({ target, recovery }: Limit): number =>
    target !== null ? 1 - target : recovery !== null ? -recovery : -2;
  return lines
    .filter((line, i) => lines.findIndex((other) => sameLimit(line, other)) === i)
    .sort((a, b) => rank(a) - rank(b));
}

function percent(share: number): string {
  return `${Number((100 * share).toFixed(1))} %`;
}
