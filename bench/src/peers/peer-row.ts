import type { Cell } from "./cells";
import type { Sample } from "./job";
import type { Outcome } from "./sample-peer";
import { spreadOf, type Spread } from "./spread";

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

/** Medians of a cell's runs, or why there are none. */
export function rowOf(cell: Cell, outcomes: readonly Outcome[]): PeerRow {
  const measured = outcomes.filter((outcome) => outcome.kind === "measured");
  const values = (of: (sample: Sample) => number): number[] => measured.map(({ sample }) => of(sample));
  const stepMs = spreadOf(values((sample) => sample.stepMs));
  const tokensPerSecond = spreadOf(values((sample) => (1000 * cell.batch) / sample.stepMs));
  const [first] = measured;
  const skipped = outcomes.find((outcome) => outcome.kind === "skipped");
  if (stepMs === null || tokensPerSecond === null || first === undefined || skipped !== undefined) {
    return { ...cell, skipped: skipped?.why ?? "it was not run" };
  }
  return {
    ...cell,
    firstTokenMs: spreadOf(measured.flatMap(({ sample }) => sample.firstTokenMs ?? [])),
    stepMs,
    tokensPerSecond,
    peakBytes: Math.max(...values((sample) => sample.peakBytes)),
    deviceBytes: first.sample.deviceBytes,
    kept: first.sample.kept,
    runs: measured.length,
    otherCores: Math.max(...measured.map(({ otherCores }) => otherCores)),
  };
}
