import { WinnowError } from "@winnow/core-tensor";

/** More would share the memory's bandwidth, and wait for each other. */
const MOST_BY_DEFAULT = 16;
const MOST = 256;

/**
 * How many threads to compute with.
 *
 * @param asked null for as many as there are cores, up to 16.
 * @throws WinnowError `usage` unless it is a whole number from 1 to 256.
 */
export function threadCount(asked: number | undefined, cores: number): number {
  if (asked === undefined) return Math.max(1, Math.min(cores, MOST_BY_DEFAULT));
  if (Number.isInteger(asked) && asked >= 1 && asked <= MOST) return asked;
  throw new WinnowError("usage", `${asked} threads; expected a whole number from 1 to ${MOST}`);
}
