import type { Machine } from "../machine";
import type { Cell } from "./cells";
import type { Sample } from "./job";
import type { PeerRow } from "./peer-row";
import type { Outcome } from "./sample-peer";
import { spreadOf } from "./spread";
import { verdictsOf, type Verdict } from "./verdicts";

export interface PeersResult {
  readonly machine: Machine;
  readonly memoryBytes: number;
  readonly runs: number;
  readonly notes: readonly string[];
  readonly rows: readonly PeerRow[];
  readonly verdicts: readonly Verdict[];
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

export function resultOf(of: Omit<PeersResult, "verdicts">): PeersResult {
  return { ...of, verdicts: verdictsOf(of.rows) };
}
