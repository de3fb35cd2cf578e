/** What one KV head keeps. */
export interface Head {
  /** Canonical text of its policy. */
  readonly policy: string;
  /** Share of the slots, 0 to 1. */
  readonly share: number;
  /** Slots of how many tokens; null where only the share is known. */
  readonly slots: { readonly kept: number; readonly of: number } | null;
  /** Share of attention that its cut recovers; null where nothing was profiled. */
  readonly recovery: number | null;
}

/** Layers × KV heads of one request. */
export type Heads = readonly (readonly Head[])[];

/** The policies in use and how many heads each has, the most frequent first. */
export function policyCounts(heads: Heads): { readonly policy: string; readonly heads: number }[] {
  const counts = new Map<string, number>();
  for (const { policy } of heads.flat()) counts.set(policy, (counts.get(policy) ?? 0) + 1);
  return [...counts].map(([policy, count]) => ({ policy, heads: count })).sort((a, b) => b.heads - a.heads);
}
