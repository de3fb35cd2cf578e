import { union, limit, minus, full, recent, none, type Policy } from "../policy";
import type { Expr } from "@winnow/core-tensor";
import type { AmountLike } from "../amount";

/** SnapKV's observation window (arXiv 2404.14469, section 4.2): the prompt's last rows, whose weights score the others. */
export const OBSERVED_ROWS = 32;

/**
 * The observation window, and of what is before it the slots of greatest score.
 *
 * @param x how many of those: a share of the length, or a count; 0 for none.
 * @param most of the window, where a budget has no room for all of it.
 */
export function besideWindow(x: AmountLike, score: string | Expr, most = x): Policy {
  const before = minus(full(), recent(OBSERVED_ROWS));
  return union(newest(OBSERVED_ROWS, most), x === 0 ? none() : limit(before, x, score));
}

/** A window that is no longer than an amount allows: small budgets are for more than what is new. */
export function newest(count: number, most: AmountLike): Policy {
  return most === 0 ? none() : limit(recent(count), most, "position");
}
