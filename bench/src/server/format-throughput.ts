import { alignColumns } from "../columns";
import { formatMachine, type Machine } from "../machine";
import type { LongPrompts } from "./long-prompts";
import type { Spread } from "./spread";
import type { ThroughputRow } from "./throughput";

/** What the benchmark `server` prints with `--json`. */
export interface ThroughputResult {
  readonly machine: Machine;
  readonly model: string;
  readonly backend: string;
  readonly budgetBytes: number;
  readonly maxQueue: number;
  readonly rows: readonly ThroughputRow[];
  readonly prompts: readonly LongPrompts[];
  readonly faults: readonly string[];
}

const HEADING = [
  "policy",
  "clients",
  "tokens/s",
  "first token ms p50",
  "p99",
  "between tokens ms p50",
  "p99",
  "answered",
  "429s",
  "most bytes reserved",
  "in flight",
  "parked",
];

export function formatThroughput({
  machine,
  model,
  backend,
  budgetBytes,
  maxQueue,
  rows,
  prompts,
  faults,
}: ThroughputResult): string {
  const [first] = rows;
  return [
    `${formatMachine(machine)}; ${model}, ${backend}`,
    `a budget of ${budgetBytes} bytes for all caches, a queue of ${maxQueue}; prompts of ${first?.promptTokens ?? 0} tokens, answers of ` +
      `${first?.answerTokens ?? 0} (medians of the first row)`,
    "",
    ...alignColumns([HEADING, ...rows.map(cellsOf)]),
    "",
    "/health while long prompts are read, ten times a second:",
    ...alignColumns([
      ["policy", "prompts", "of tokens", "probes", "ms p50", "p99", "max", "timers late by ms (max)"],
      ...prompts.map(({ policy, promptTokens, health: { ms, ownDelayMs } }) => [
        policy,
        String(promptTokens.length),
        String(Math.max(...promptTokens)),
        ...(ms === null ? ["0", "-", "-", "-"] : [ms.count, ms.p50, ms.p99, ms.max].map(String)),
        String(ownDelayMs.max),
      ]),
    ]),
    ...(faults.length === 0 ? [] : ["", ...faults.map((fault) => `FAILED: ${fault}`)]),
    "",
  ].join("\n");
}

function cellsOf(row: ThroughputRow): string[] {
  return [
    row.policy,
    String(row.clients),
    String(row.tokensPerSecond),
    ...spreadCells(row.firstMs),
    ...spreadCells(row.betweenMs),
    `${row.answered}/${row.requests}`,
    String(row.tooMany),
    String(row.slots.reservedBytes),
    String(row.slots.inFlight),
    String(row.slots.parked),
  ];
}

function spreadCells(spread: Spread | null): string[] {
  return spread === null ? ["-", "-"] : [String(spread.p50), String(spread.p99)];
}
