import { percent } from "../../output/percent";
import { limitName } from "../limit";
import type { Rivalry, Versus } from "../versus";

const SIGNIFICANT = 0.05;

/** In a sentence or two: how often a policy is better and worse than the others, and where it is worst. */
export function versusText({ policy, comparisons }: Versus): string {
  const significant = comparisons.filter(({ p }) => p < SIGNIFICANT);
  const above = significant.filter(({ difference }) => difference > 0);
  const below = significant.filter(({ difference }) => difference < 0);
  const worst = comparisons.reduce((a, b) => (b.difference < a.difference ? b : a));
  const head = `${policy} against each other policy at the same limit, ${comparisons.length} comparisons (paired, 95 %, corrected by Holm): above in ${above.length}, below in ${below.length}`;
  const lines = below.map((one) => `  below ${described(one)}`);
  const last =
    worst.difference < 0
      ? `  the greatest difference for another: ${described(worst)}, ${percent(worst.low)} to ${percent(worst.high)}`
      : "  never below another";
  return [head, ...lines, last].join("\n");
}

function described(one: Rivalry): string {
  return `${one.other} in ${one.task} at ${limitName(one)}: ${percent(one.difference)}`;
}
