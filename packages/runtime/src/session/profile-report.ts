import type { ProfileReport } from "@winnow/profiler";

import type { Model } from "../model";
import type { Session } from "./session";

/** What the last cut of a session's prompt found, for tables and pictures. */
export function profileReport(model: Model, session: Session): ProfileReport {
  const { sequence, settings } = session;
  const { bytes, fullBytes, peakBytes } = sequence.report();
  return {
    model: lastPart(model.dir),
    policy: settings.policy.text,
    promptTokens: sequence.promptTokens,
    recovery: session.recovery,
    rows: session.rows,
    layers: sequence.heads.map((heads) => ({
      heads: heads.map(({ policy, recovery, kept, measured, attention }) => ({
        policy: policy.text,
        recovery,
        kept,
        candidates: measured,
        attention,
      })),
    })),
    kv: { bytes, fullBytes, peakBytes },
  };
}

/** The last part of a path or a URL, by which a model is known. */
function lastPart(path: string): string {
  return path.split(/[/\\]/).findLast((part) => part !== "") ?? path;
}
