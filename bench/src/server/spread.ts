import { percentiles } from "@winnow/runtime";

/** How some times are spread, in milliseconds; a tenth of one is the finest that is told. */
export interface Spread {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** @returns null for no times. */
export function spreadOf(times: readonly number[]): Spread | null {
  const of = percentiles(times);
  if (of === null) return null;
  const max = times.reduce((most, time) => Math.max(most, time), -Infinity);
  return { count: times.length, p50: tenths(of.p50), p99: tenths(of.p99), max: tenths(max) };
}

export function tenths(value: number): number {
  return Number(value.toFixed(1));
}
