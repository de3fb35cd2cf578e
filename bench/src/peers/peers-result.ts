import type { Machine } from "../machine";
import type { PeerRow } from "./peer-row";
import { verdictsOf, type Verdict } from "./verdicts";

export interface PeersResult {
  readonly machine: Machine;
  readonly memoryBytes: number;
  readonly runs: number;
  readonly notes: readonly string[];
  readonly rows: readonly PeerRow[];
  readonly verdicts: readonly Verdict[];
}

export function resultOf(of: Omit<PeersResult, "verdicts">): PeersResult {
  return { ...of, verdicts: verdictsOf(of.rows) };
}
