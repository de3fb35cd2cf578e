import { InvalidArgumentError } from "commander";

import { OWN, type Limit } from "../eval/limit";

/** A parser for an option that takes a decimal number within a range; anything else is refused as it stands. */
export function number(rule: string, fits: (value: number) => boolean): (text: string) => number {
  return (text) => {
    const value = /^-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(text) ? Number(text) : NaN;
    if (!Number.isFinite(value) || !fits(value)) throw new InvalidArgumentError(`Expected ${rule}.`);
    return value;
  };
}

/** The same for whole numbers of at least `least`, and at most `most` where there is such a bound. */
export function whole(least: number, most = Infinity): (text: string) => number {
  const rule = most === Infinity ? `of at least ${least}` : `from ${least} to ${most}`;
  return number(`a whole number ${rule}`, (value) => Number.isInteger(value) && value >= least && value <= most);
}

/** A share above 0 and at most 1, as a number or in percent. */
export function share(text: string): number {
  const rule = "a share above 0 and at most 1, such as 40% or 0.4";
  const percent = text.endsWith("%");
  const scale = percent ? 100 : 1;
  return number(rule, (x) => x > 0 && x <= scale)(percent ? text.slice(0, -1) : text) / scale;
}

/** Shares of bytes such as `75%,50%`; `T=95%` is a recovery, and `own` what a policy keeps where nothing is asked of it. */
export function limits(text: string): readonly Limit[] {
  return text.split(",").map((each): Limit => {
    const part = each.trim();
    if (part === "own") return OWN;
    return part.startsWith("T=")
      ? { target: null, recovery: share(part.slice(2)) }
      : { target: share(part), recovery: null };
  });
}

/** Token ids, separated by commas. */
export function tokenIds(text: string): number[] {
  if (!/^\s*\d+(?:\s*,\s*\d+)*\s*$/.test(text)) {
    throw new InvalidArgumentError("Expected token ids separated by commas, such as 0,4,290.");
  }
  return text.split(",").map(Number);
}

/** For options that may be given several times. */
export function collect(value: string, before: readonly string[]): string[] {
  return [...before, value];
}
