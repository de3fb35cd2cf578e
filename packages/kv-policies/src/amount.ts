import { MAX_OPERAND, WinnowError } from "@winnow/core-tensor";

/**
 * How much a policy keeps: a share of the tokens, above 0 and at most 1, or a number of slots, from 1 to 16,777,215.
 * Those made here print as policies write them, so that a plug-in can put its arguments into a text as they are.
 */
export type Amount =
  { readonly kind: "ratio"; readonly value: number } | { readonly kind: "count"; readonly value: number };

/** An amount as programs write it: 0 < x < 1 is a ratio, a whole number of at least 1 a count. */
export type AmountLike = number | Amount;

/** Counts travel in 24 bits. */
const MAX_COUNT = MAX_OPERAND;

/**
 * @throws WinnowError `policy` when the value is neither a ratio nor a count.
 * @example
 * ```ts
 * amountOf(0.3); // 30%
 * amountOf(64); // 64 slots
 * amountOf(ratio(1)); // 100%, which no plain number means
 * ```
 */
export function amountOf(x: AmountLike): Amount {
  if (typeof x === "number") return x > 0 && x < 1 ? ratio(x) : count(x);
  return x.kind === "ratio" ? ratio(x.value) : count(x.value);
}

/**
 * A share of the tokens.
 *
 * @param value above 0 and at most 1.
 * @throws WinnowError `policy` when it is out of range.
 */
export function ratio(value: number): Amount {
  if (!(value > 0 && value <= 1)) {
    const shown = value > 0 && value < Infinity ? formatPercent(value) : `${value * 100}%`;
    throw new WinnowError("policy", `a ratio of ${shown} is out of range; expected above 0% and at most 100%`);
  }
  return new PrintableAmount("ratio", value);
}

/**
 * A number of slots.
 *
 * @param value a whole number from 1 to 16,777,215.
 * @throws WinnowError `policy` when it is not.
 */
export function count(value: number): Amount {
  if (!Number.isInteger(value) || value < 1 || value > MAX_COUNT) {
    throw new WinnowError(
      "policy",
      `an amount of ${value} is out of range; expected a ratio between 0 and 1, or a whole number from 1 to ${MAX_COUNT}`,
    );
  }
  return new PrintableAmount("count", value);
}

/** Slots that an amount stands for when its ratio refers to `tokens` tokens: ⌈ratio · tokens⌉, in float64. */
export function slotsOf(amount: Amount, tokens: number): number {
  return amount.kind === "count" ? amount.value : Math.ceil(amount.value * tokens);
}

/**
 * The ratio with the fewest decimals that stands for so many slots of a number of tokens.
 *
 * @param slots from 1 to `tokens`.
 * @example shortestRatio(29, 120) // 24%, of which 28.8 slots are rounded up
 */
export function shortestRatio(slots: number, tokens: number): Amount {
  for (let scale = 100; scale < 1e15; scale *= 10) {
    const most = Math.floor((slots / tokens) * scale);
    // The product with an exact share may come out a little above the slots.
    for (const value of [most / scale, (most - 1) / scale]) {
      if (value > 0 && Math.ceil(value * tokens) === slots) return ratio(value);
    }
  }
  return ratio((slots - 0.5) / tokens);
}

/** `30%` or `64`; parsing it gives exactly the same amount. */
export function formatAmount({ kind, value }: Amount): string {
  return kind === "count" ? String(value) : formatPercent(value);
}

/**
 * A ratio in percent: the shortest decimal that means this very number, with its point moved. Multiplying by 100 would
 * round: 0.07 * 100 is 7.000000000000001.
 *
 * @param value above 0 and finite.
 */
export function formatPercent(value: number): string {
  const [mantissa = "", exponent = ""] = value.toExponential().split("e");
  const digits = mantissa.replace(".", "");
  const whole = Number(exponent) + 3;
  if (whole <= 0) return `0.${"0".repeat(-whole)}${digits}%`;
  if (digits.length <= whole) return `${digits.padEnd(whole, "0")}%`;
  return `${digits.slice(0, whole)}.${digits.slice(whole)}%`;
}

/**
 * The ratio that a percentage means, rounded once: dividing the number by 100 would round twice, and 33.3% would not be
 * 0.333.
 *
 * @param percent an unsigned decimal number without the sign, such as `12.5` or `1e-3`.
 */
export function ratioOfPercent(percent: string): number {
  const [mantissa = "", exponent = "0"] = percent.split("e");
  return Number(`${mantissa}e${Number(exponent) - 2}`);
}

class PrintableAmount<Kind extends Amount["kind"]> {
  constructor(
    readonly kind: Kind,
    readonly value: number,
  ) {}

  toString(): string {
    return this.kind === "count" ? String(this.value) : formatPercent(this.value);
  }
}
