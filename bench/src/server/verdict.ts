import { PROMPT_MS } from "./health-watch";
import type { LoadResult } from "./load-test";

/** How the process ended. */
export interface Ending {
  /** Null where it had to be killed. */
  readonly exitCode: number | null;
  /** What it has warned of. */
  readonly log: string;
}

/** Something that has to be so. */
export interface Check {
  readonly name: string;
  readonly passed: boolean;
  readonly found: string;
}

/** What a load test demands of a server. */
export function judge(result: LoadResult, { exitCode, log }: Ending): Check[] {
  const { counts, hostile, health, slots, before, after, emptied, openAtEnd } = result;
  const { prefixes, bytes, budgetBytes } = after.cache;
  const unexpected = hostile.reduce((sum, kind) => sum + kind.unexpected, 0);
  const sent = hostile.reduce((sum, kind) => sum + kind.sent, 0);
  const failed = hostile
    .flatMap(({ outcomes }) => Object.entries(outcomes))
    .filter(([outcome]) => outcome.startsWith("5"));
  const wrong = counts.mixedUp + counts.wrong;
  return [
    check("answers were checked", counts.right + wrong > 0, `${counts.right + wrong} answers`),
    check("no answer is lost", counts.lost === 0, `${counts.lost} lost`),
    check("no answer is another's", counts.mixedUp === 0, `${counts.mixedUp} mixed up`),
    check("every answer is as it was of the idle server", wrong === 0, `${wrong} differ, ${counts.right} do not`),
    check(
      "every hostile request is refused as it should be",
      unexpected === 0 && failed.length === 0,
      `${unexpected} of ${sent} were not`,
    ),
    check(
      "caches stay within the budget",
      slots.overBudget === 0 && slots.reservedBytes <= budgetBytes && slots.polls > 0,
      `${slots.reservedBytes} of ${budgetBytes} bytes at most in ${slots.polls} polls`,
    ),
    check("no request is left over", openAtEnd === 0, `${openAtEnd} in /slots`),
    check(
      "nothing is kept but shared beginnings",
      bytes === prefixes.bytes,
      `${bytes} bytes in use, ${prefixes.entries} beginnings of ${prefixes.bytes} bytes`,
    ),
    check(
      "without them, every byte is given back",
      emptied.reservedBytes === before.cache.reservedBytes,
      `${emptied.reservedBytes} bytes reserved, ${before.cache.reservedBytes} before`,
    ),
    check(
      `/health answers within ${PROMPT_MS} ms, 99 times of 100`,
      health.ms !== null && health.ms.p99 <= PROMPT_MS && health.failures.length === 0,
      health.ms === null
        ? "it was never answered"
        : `${health.late} of ${health.ms.count} later, ${health.failures.length} failed`,
    ),
    check("/slots answers", slots.failures.length === 0, slots.failures[0] ?? `${slots.polls} times`),
    check("the process ends with 0 after SIGTERM", exitCode === 0, `exit code ${String(exitCode)}`),
    check("it has warned of nothing", log === "", log === "" ? "an empty log" : log.slice(0, 2000)),
  ];
}

function check(name: string, passed: boolean, found: string): Check {
  return { name, passed, found };
}
