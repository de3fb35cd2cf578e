import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

import type { SlotsBenchmarkOptions } from "../arguments";
import { alignColumns } from "../columns";
import { formatMachine, thisMachine } from "../machine";
import type { Cell } from "../peers/cells";
import { fitLine, type Line } from "../peers/fit";
import { linePlot } from "../peers/line-plot";
import type { Peer } from "../peers/peer";
import { measureCells } from "../peers/peers-benchmark";
import { isMeasured, type MeasuredRow } from "../peers/peer-row";
import { resultText } from "../peers/result-text";
import { tell } from "../progress";
import { repositoryRoot } from "../repository";

const MODEL = "135m q8_0";
const CONTEXTS = [1000, 4000, 8000, 16_000, 24_000, 32_000];
const MEASURED: readonly Peer[] = ["winnow full", "winnow half cut"];

interface SlotsLine {
  readonly peer: Peer;
  readonly rows: readonly MeasuredRow[];
  /** Milliseconds a token by tokens of context, and by slots that are kept of them. */
  readonly byTokens: Line;
  readonly bySlots: Line;
}

/** Show that a token costs what its slots cost, not what was read: caches filled up to 32,000 tokens, full and half cut. */
export async function runSlotsBenchmark({ json, out, runs }: SlotsBenchmarkOptions): Promise<void> {
  const cells = CONTEXTS.flatMap((context) =>
    MEASURED.map((peer): Cell => ({ peer, model: MODEL, context, batch: 1, start: "fill" })),
  );
  const rows = (await measureCells(cells, runs)).filter(isMeasured);
  const lines = MEASURED.map((peer) => lineOf(peer, rows));
  const result = { machine: thisMachine(), model: MODEL, runs, lines };
  const text = resultText(result);
  const folder = out ?? join(repositoryRoot(), ".reports");
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "slots.json"), text);
  await writeFile(join(folder, "slots.svg"), plotOf(lines));
  process.stdout.write(json ? text : formatLines(lines, runs));
  tell(`${folder}: slots.json and slots.svg`);
}

function lineOf(peer: Peer, all: readonly MeasuredRow[]): SlotsLine {
  const rows = all.filter((row) => row.peer === peer);
  const fit = (x: (row: MeasuredRow) => number): Line =>
    fitLine(rows.map((row) => ({ x: x(row), y: row.stepMs.median })));
  return { peer, rows, byTokens: fit(({ context }) => context), bySlots: fit(({ context, kept }) => context * kept) };
}

function formatLines(lines: readonly SlotsLine[], runs: number): string {
  const thousand = ({ slope }: Line): string => (1000 * slope).toFixed(3);
  const table = alignColumns([
    ["", ...CONTEXTS.map((context) => `${context}`), "ms per 1,000 tokens", "per 1,000 slots"],
    ...lines.map(({ peer, rows, byTokens, bySlots }) => [
      peer,
      ...CONTEXTS.map((context) => rows.find((row) => row.context === context)?.stepMs.median.toFixed(2) ?? "-"),
      thousand(byTokens),
      thousand(bySlots),
    ]),
  ]);
  return `${formatMachine(thisMachine())}; ${MODEL}, ms a token by tokens of context; medians of ${runs}\n\n${table.join("\n")}\n`;
}

function plotOf(lines: readonly SlotsLine[]): string {
  const points = ({ rows }: SlotsLine) =>
    rows.map(({ context, stepMs: { median, least, most } }) => ({ x: context, y: median, least, most }));
  const fitted = ({ byTokens: { at0, slope } }: SlotsLine) =>
    CONTEXTS.map((x) => ({ x, y: at0 + slope * x, least: at0 + slope * x, most: at0 + slope * x }));
  return linePlot({
    title: `${MODEL}: milliseconds a token behind a filled cache`,
    x: "tokens of context",
    y: "ms a token",
    scale: "linear",
    ticks: [0, ...CONTEXTS.slice(2)],
    lines: [
      ...lines.map((line) => ({ name: line.peer, points: points(line) })),
      ...lines.map((line) => ({
        name: `${(1000 * line.byTokens.slope).toFixed(2)} ms per 1,000 tokens`,
        faint: true,
        points: fitted(line),
      })),
    ],
  });
}
