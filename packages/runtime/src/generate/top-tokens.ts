/** A token that might have been drawn. */
export interface TokenProbability {
  readonly id: number;
  /** Natural logarithm of its probability at temperature 1, before any filter. */
  readonly logProbability: number;
}

/**
 * The likeliest tokens, the likeliest first; of equals the one with the lower id.
 *
 * @param logits of the whole vocabulary.
 */
export function topTokens(logits: ArrayLike<number>, count: number): TokenProbability[] {
  const best: number[] = [];
  const at = (id: number | undefined): number => (id === undefined ? -Infinity : (logits[id] ?? -Infinity));
  for (let id = 0; id < logits.length; id++) {
    if (best.length === count && !(at(id) > at(best.at(-1)))) continue;
    const place = best.findIndex((other) => at(id) > at(other));
    best.splice(place < 0 ? best.length : place, 0, id);
    best.length = Math.min(best.length, count);
  }
  const greatest = at(best[0]);
  let mass = 0;
  for (let id = 0; id < logits.length; id++) mass += Math.exp(at(id) - greatest);
  const logMass = greatest + Math.log(mass);
  return best.map((id) => ({ id, logProbability: at(id) - logMass }));
}
