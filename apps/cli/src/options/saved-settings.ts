import { WinnowError } from "@winnow/core-tensor";
import { formatPercent, resolvePolicy, type PolicyRegistry } from "@winnow/kv-policies";
import type { SessionSettings } from "@winnow/runtime";

import type { CacheFlags } from "./cache";

/** A setting that a session was begun with, beside the flag that asks for one. */
interface Setting {
  readonly flag: string;
  /** What is asked for; undefined where the flag was not given. */
  readonly asked: string | undefined;
  /** Whether that is what the session has. */
  readonly agrees: boolean;
  /** What the session has, as in "was begun …". */
  readonly held: string;
}

/**
 * A session in a file goes on as it was begun: flags may say the same again, and nothing else.
 *
 * @throws WinnowError `usage` naming the flag, the file, and what the file has.
 */
export function expectSavedSettings(
  flags: CacheFlags,
  settings: SessionSettings,
  file: string,
  registry: PolicyRegistry | undefined,
): void {
  const other = settingsOf(flags, settings, registry).find(({ asked, agrees }) => asked !== undefined && !agrees);
  if (other === undefined) return;
  const { flag, asked = "", held } = other;
  throw new WinnowError(
    "usage",
    `${flag} ${asked}: --session ${file} was begun ${held}, and goes on so; leave out ${flag}, or give another file`,
  );
}

function settingsOf(
  flags: CacheFlags,
  { policy, recovery: threshold, interval }: SessionSettings,
  registry: PolicyRegistry | undefined,
): readonly Setting[] {
  const target = policy.target?.share;
  // What a target or a weight comes to was not asked for as a recovery.
  const recovery = target === undefined && policy.decision.kind !== "greatest" ? threshold : null;
  const own = `with the policy "${policy.text}"`;
  const rows = `with "${policy.rows}" as the source of its rows`;
  const { plan, policy: text, kvTarget, probeIds } = flags;
  return [
    { flag: "--plan", asked: plan, agrees: false, held: own },
    {
      flag: "--policy",
      asked: text === undefined ? undefined : `"${text}"`,
      agrees: text !== undefined && canonical(text, registry) === policy.text,
      held: own,
    },
    {
      flag: "--recovery",
      asked: flags.recovery?.toString(),
      agrees: flags.recovery === recovery,
      held: recovery === null ? "without a recovery" : `with a recovery of ${recovery}`,
    },
    {
      flag: "--kv-target",
      asked: kvTarget === undefined ? undefined : formatPercent(kvTarget),
      agrees: kvTarget === target,
      held: target === undefined ? "without a target" : `with a target of ${formatPercent(target)}`,
    },
    { flag: "--rows", asked: flags.rows, agrees: flags.rows === policy.rows, held: rows },
    { flag: "--probe-ids", asked: probeIds?.join(), agrees: policy.rows === "probe", held: rows },
    {
      flag: "--interval",
      asked: flags.interval?.toString(),
      agrees: flags.interval === interval,
      held: `with an interval of ${interval} tokens`,
    },
    {
      flag: "--drift",
      asked: flags.drift,
      agrees: flags.drift === policy.drift,
      held: `with a drift of ${policy.drift}`,
    },
  ];
}

/** A policy's text as sessions have it. */
function canonical(text: string, registry: PolicyRegistry | undefined): string {
  const resolved = resolvePolicy(text, registry);
  return resolved.kind === "strategy" ? resolved.strategy.text : resolved.preset.text;
}
