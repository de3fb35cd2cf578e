import type { Cell } from "./cells";
import type { Spread } from "./spread";

/** What was measured of a cell. */
export interface MeasuredRow extends Cell {
  /** Null where the prompt was not read. */
  readonly firstTokenMs: Spread | null;
  readonly stepMs: Spread;
  /** Of all answers together. */
  readonly tokensPerSecond: Spread;
  readonly peakBytes: number;
  readonly deviceBytes: number | null;
  readonly kept: number;
  readonly runs: number;
  /** The most that other programs used of the machine during a run that counts. */
  readonly otherCores: number;
}

export interface SkippedRow extends Cell {
  readonly skipped: string;
}

export type PeerRow = MeasuredRow | SkippedRow;

export function isMeasured(row: PeerRow): row is MeasuredRow {
  return !("skipped" in row);
}
