import { WinnowError } from "@winnow/core-tensor";

/** How much a policy keeps: a share of the tokens, or a number of slots. */
export type Amount =
  | { readonly kind: "ratio"; readonly value: number }
  | { readonly kind: "count"; readonly value: number };

/** An amount as programs write it: 0 < x < 1 is a ratio, a whole number of at least 1 a count. */
export type AmountLike = number | Amount;

/** Counts travel in 24 bits. */
const MAX_COUNT = 0xffffff;

/** @throws WinnowError `policy` when the value is neither a ratio nor a count. */
export function amountOf(x: AmountLike): Amount {
  if (typeof x !== "number") return x.kind === "ratio" ? ratio(x.value) : count(x.value);
  return x > 0 && x < 1 ? ratio(x) : count(x);
}

/** A share of the tokens, 0 < value ≤ 1. */
export function ratio(value: number): Amount {
  if (!(value > 0 && value <= 1)) {
    throw new WinnowError("policy", `a ratio of ${formatPercent(value)} is out of range; expected above 0% and at most 100%`);
  }
  return { kind: "ratio", value };
}

/** A number of slots, 1 to 16,777,215. */
export function count(value: number): Amount {
  if (!Number.isInteger(value) || value < 1 || value > MAX_COUNT) {
    throw new WinnowError(
      "policy",
      `an amount of ${value} is out of range; expected a ratio between 0 and 1, or a whole number from 1 to ${MAX_COUNT}`,
    );
  }
  return { kind: "count", value };
}

/** Slots that an amount stands for when its ratio refers to `tokens` tokens: ⌈ratio · tokens⌉, in float64. */
export function slotsOf(amount: Amount, tokens: number): number {
  return amount.kind === "count" ? amount.value : Math.ceil(amount.value * tokens);
}

/** `30%` or `64`. */
export function formatAmount(amount: Amount): string {
  return amount.kind === "count" ? String(amount.value) : formatPercent(amount.value);
}

/** A ratio in percent without the noise of binary fractions, exact for up to twelve digits. */
export function formatPercent(value: number): string {
  return `${Number((value * 100).toPrecision(12))}%`;
}
