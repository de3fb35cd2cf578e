/**
 * How many of the greatest scores over some lists lie in each of them.
 *
 * @param scores a list for each head; what is not a number comes last.
 * @param total how many in all; ties go to the earlier list, then to the earlier place.
 */
export function sharedBudget(scores: readonly ArrayLike<number>[], total: number): number[] {
  const all = scores.flatMap((list, head) =>
    Array.from(list, (score) => ({ head, score: Number.isNaN(score) ? -Infinity : score })),
  );
  const counts = scores.map(() => 0);
  const best = all.sort((a, b) => (a.score === b.score ? 0 : b.score > a.score ? 1 : -1)).slice(0, Math.max(0, total));
  for (const { head } of best) counts[head] = (counts[head] ?? 0) + 1;
  return counts;
}
