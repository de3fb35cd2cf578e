import { union, limit, minus, full, recent, none, type Policy } from "../policy";
import type { Expr } from "@winnow/core-tensor";
import type { AmountLike } from "../amount";

/** SnapKV's observation window (arXiv 2404.14469, section 4.2): the prompt's last rows, whose weights score the others. */
export const OBSERVED_ROWS = 32;

/**
 * The observation window, and of what is before it the slots of greatest score.
 *
 * @param x how many of those: a share of the length, or a count; 0 for none.
 */
export function besideWindow(x: AmountLike, score: string | Expr): Policy {
  const window = recent(OBSERVED_ROWS);
  return union(window, x === 0 ? none() : limit(minus(full(), window), x, score));
}
