/** By layer and KV head, each in [0, 1]. */
export type Shares = readonly (readonly number[])[];

/** Head by head, the mean of some shares. */
export function meanShares(all: readonly Shares[]): Shares {
  return (all[0] ?? []).map((heads, l) =>
    heads.map((_, h) => all.reduce((sum, shares) => sum + (shares[l]?.[h] ?? 0), 0) / all.length),
  );
}
