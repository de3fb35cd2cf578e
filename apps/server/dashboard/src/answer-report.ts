import type { Heads } from "./heads";
import { listOf, numberOf, numberOrNull, objectOf, stringOf, stringOrNull } from "./json";
import { readKvBytes, type KvBytes } from "./slots-report";

/** What the server tells of an answer when it has ended: the `winnow` of the stream's last chunk. */
export interface AnswerReport {
  readonly policy: string;
  readonly kv: KvBytes;
  readonly heads: Heads;
  /** Where the profiled rows came from, and why if that is not what was asked for. */
  readonly rows: { readonly source: string; readonly note: string | null };
  readonly queueMs: number;
  readonly promptMs: number;
  readonly tokensPerSecond: number | null;
}

export function readAnswerReport(value: unknown): AnswerReport {
  const body = objectOf(value);
  const kv = objectOf(body.kv);
  const rows = objectOf(body.rows);
  const timings = objectOf(body.timings);
  const tokens = numberOf(kv.tokens);
  const slots = listOf(kv.slots);
  const recovery = listOf(body.recovery);
  return {
    policy: stringOf(body.policy),
    kv: readKvBytes(kv),
    heads: listOf(body.plan).map((layer, l) =>
      listOf(layer).map((policy, h) => {
        const kept = numberOf(listOf(slots[l])[h]);
        return {
          policy: stringOf(policy),
          share: tokens === 0 ? 0 : Math.min(1, kept / tokens),
          slots: { kept, of: tokens },
          recovery: numberOrNull(listOf(recovery[l])[h]),
        };
      }),
    ),
    rows: { source: stringOf(rows.source), note: stringOrNull(rows.note) },
    queueMs: numberOf(timings.queueMs),
    promptMs: numberOf(timings.promptMs),
    tokensPerSecond: numberOrNull(timings.tokensPerSecond),
  };
}
