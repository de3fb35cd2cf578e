import { alignColumns } from "../columns";
import { formatMachine, type Machine } from "../machine";
import type { LoadResult } from "./load-test";
import type { Spread } from "./spread";
import type { Check } from "./verdict";

/** What the benchmark `server --load` prints with `--json`. */
export interface LoadReport {
  readonly machine: Machine;
  readonly model: string;
  readonly maxQueue: number;
  readonly result: LoadResult;
  readonly checks: readonly Check[];
}

export function formatLoad({ machine, model, maxQueue, result, checks }: LoadReport): string {
  const { clients, seconds, parts, questions, differentAnswers, counts, health, slots, before, after, emptied } =
    result;
  const failed = checks.filter(({ passed }) => !passed).length;
  return [
    `${formatMachine(machine)}; ${model}, ${result.backend}`,
    `${clients} clients for ${seconds} s: ${parts.checking} check their answers, ${parts.leaving} go away amid them, ${parts.hostile} are ` +
      `hostile; ${questions} questions with ${differentAnswers} different answers; a queue of ${maxQueue}`,
    "",
    ...alignColumns([
      ["", "found"],
      ["answers as of the idle server", String(counts.right)],
      ["answers that are another's", String(counts.mixedUp)],
      ["other wrong answers", String(counts.wrong)],
      ["lost answers", String(counts.lost)],
      ["clients that went away", String(counts.left)],
      ["429s", String(counts.tooMany)],
      ["answers with a kept beginning", String(counts.withKeptPrefix)],
      ["tokens that were received", String(counts.tokens)],
      ["most answers in flight", String(slots.inFlight)],
      ["of them parked", String(slots.parked)],
      ["bytes reserved at most", `${slots.reservedBytes} of ${after.cache.budgetBytes}`],
      [
        "bytes reserved before, after, emptied",
        `${before.cache.reservedBytes}, ${after.cache.reservedBytes}, ${emptied.reservedBytes}`,
      ],
      ["kept beginnings", `${after.cache.prefixes.entries} of ${after.cache.prefixes.bytes} bytes`],
      ["resident MiB before, after", `${mebibytes(before.residentBytes)}, ${mebibytes(after.residentBytes)}`],
    ]),
    "",
    ...alignColumns([
      ["milliseconds", "count", "p50", "p99", "max"],
      spreadRow("/health", health.ms),
      spreadRow("to the first token", result.firstMs),
      spreadRow("between tokens", result.betweenMs),
    ]),
    `the timers of the probes of /health were late by ${health.ownDelayMs.p99} ms (p99), ${health.ownDelayMs.max} ms at most`,
    "",
    ...alignColumns([
      ["hostile requests", "sent", "unexpected"],
      ...result.hostile.map(({ name, sent, unexpected }) => [name, String(sent), String(unexpected)]),
    ]),
    ...result.hostile
      .filter(({ unexpected }) => unexpected > 0)
      .map(({ name, outcomes }) => `${name}: ${JSON.stringify(outcomes)}`),
    "",
    ...checks.map(({ name, passed, found }) => `${passed ? "ok    " : "FAILED"}  ${name}: ${found}`),
    ...result.examples.map((example) => `        ${example}`),
    failed === 0 ? "all checks passed" : `${failed} of ${checks.length} checks failed`,
    "",
  ].join("\n");
}

function spreadRow(name: string, spread: Spread | null): string[] {
  if (spread === null) return [name, "0", "-", "-", "-"];
  return [name, String(spread.count), String(spread.p50), String(spread.p99), String(spread.max)];
}

function mebibytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(0);
}
