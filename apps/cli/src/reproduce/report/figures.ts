import { percent } from "../../output/percent";

/** A difference of shares in percent, with its sign. */
export function signed(difference: number): string {
  const text = percent(difference);
  return difference > 0 ? `+${text}` : text;
}

/** A share in percent as it is usually written: 98, not 98.0. */
export function points(share: number): string {
  return String(Number((100 * share).toFixed(2)));
}

/** Seconds with two decimals; a dash where there are none. */
export function seconds(value: number | null): string {
  return value === null ? "–" : value.toFixed(2);
}
