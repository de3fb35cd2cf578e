import type { GenerationReport } from "@winnow/runtime";

import type { WinnowReport } from "./winnow-schema";

/** What `winnow` says in an answer. */
export function winnowReport({ policy, rows, kv, speculation, timings }: GenerationReport): WinnowReport {
  const nested = <T>(byHead: readonly (readonly T[])[]): T[][] => byHead.map((heads) => [...heads]);
  return {
    policy,
    recovery: nested(kv.recovery),
    plan: nested(kv.plan),
    rows,
    kv: {
      bytes: kv.bytes,
      fullBytes: kv.fullBytes,
      peakBytes: kv.peakBytes,
      slots: nested(kv.slots),
      tokens: kv.tokens,
      drift: kv.drift,
    },
    speculation,
    timings,
  };
}
