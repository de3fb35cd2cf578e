import { formatBytes } from "@winnow/profiler";

import { alignColumns } from "../columns";
import { formatMachine } from "../machine";
import { isMeasured, type PeerRow } from "./peer-row";
import type { PeersResult } from "./peers-result";
import type { Spread } from "./spread";
import type { Verdict } from "./verdicts";

/** A result as text: a table, what was left out and why, and the verdicts. */
export function formatPeers({ machine, memoryBytes, runs, notes, rows, verdicts }: PeersResult): string {
  const measured = rows.filter(isMeasured);
  const disturbed = Math.max(0, ...measured.map(({ otherCores }) => otherCores));
  const heading = [
    "model, context × batch",
    "peer",
    "first token ms",
    "ms a token",
    "least–most",
    "tokens/s",
    "peak memory",
    "device",
    "slots kept",
  ];
  const lines = alignColumns([
    heading,
    ...measured.map((row) => [
      placeOf(row),
      row.peer,
      row.firstTokenMs === null ? "-" : row.firstTokenMs.median.toFixed(0),
      row.stepMs.median.toFixed(2),
      formatRange(row.stepMs),
      row.tokensPerSecond.median.toFixed(1),
      formatBytes(row.peakBytes),
      row.deviceBytes === null ? "-" : formatBytes(row.deviceBytes),
      `${(100 * Math.min(1, row.kept)).toFixed(0)} %`,
    ]),
  ]);
  const skipped = rows.flatMap((row) =>
    isMeasured(row) ? [] : [`${placeOf(row)}, ${row.peer}: skipped, ${row.skipped}`],
  );
  return [
    `${formatMachine(machine)}, ${formatBytes(memoryBytes)} of memory; medians of ${runs} interleaved runs, each in a process of its own; ` +
      `other programs used at most ${disturbed.toFixed(2)} cores`,
    notes.join("\n"),
    lines.join("\n"),
    ...(skipped.length === 0 ? [] : [skipped.join("\n")]),
    verdicts.map(formatVerdict).join("\n"),
    "",
  ].join("\n\n");
}

function placeOf({ model, context, batch }: PeerRow): string {
  return `${model}, ${context}${batch === 1 ? "" : ` × ${batch}`}`;
}

function formatRange({ least, most }: Spread): string {
  return `${least.toFixed(2)}–${most.toFixed(2)}`;
}

function formatVerdict({ target, met, found }: Verdict): string {
  return `${met === null ? "not measured" : met ? "met" : "missed"}: ${target}: ${found}`;
}
