import { profiledRows } from "@winnow/profiler";

import { cutDecision } from "./cut-decision";
import { CutJudge } from "./cut-judge";
import { DeferredCut } from "./deferred-cut";
import { LayerCut } from "./layer-cut";
import { replayChunks } from "./probe";
import type { PromptCut } from "./prompt-cut";
import { readPrompt, type ReadOptions } from "./read-prompt";
import type { Sequence } from "./sequence";

/** What a probe over a prompt reads. */
export type ProbeSource =
  /** A request to repeat a text, and that text: cut into chunks that fit. */
  | { readonly kind: "replay"; readonly request: readonly number[]; readonly subject: readonly number[] }
  /** One chunk as it is. */
  | { readonly kind: "ids"; readonly ids: readonly number[] };

/** What reading a prompt measured. */
export interface ExtendReport {
  /** Where the profiled rows came from, and why if that is not what was asked for. */
  readonly rows: { readonly source: string; readonly note: string | null };
  readonly profileMs: number;
}

/** The most tokens in one chunk of a probe. */
const CHUNK_TOKENS = 512;

/**
 * Extend a sequence by a prompt, or a part of one: read it layer by layer, and cut each layer by the sequence's policy.
 *
 * @throws WinnowError `context` when it does not fit.
 */
export async function extend(
  sequence: Sequence,
  ids: readonly number[],
  probe: ProbeSource | null,
  options: ReadOptions,
): Promise<ExtendReport> {
  const decision = cutDecision(sequence, ids.length);
  const profiles = decision.kind !== "given" && decision.kind !== "carryOn";
  const wanted = profiles ? sequence.policy.rows : "prompt";
  const room = sequence.engine.context - sequence.tokens.length - ids.length;
  const chunks = wanted === "probe" && probe !== null ? probeChunks(probe, room) : [];
  const probeRows = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const profiled = profiledRows(wanted, ids.length, probeRows);
  const report = await readPrompt(
    sequence,
    ids,
    chunks,
    () => cutFor(new CutJudge(sequence, decision, profiled), ids.length),
    options,
  );
  const rows = profiles ? { source: profiled.source, note: profiled.note } : { source: "none", note: null };
  return { rows, profileMs: report.profileMs };
}

/** A layer is cut when it has been read, unless what is kept of it depends on the others. */
function cutFor(judge: CutJudge, rowCount: number): PromptCut {
  const { decision, sequence } = judge;
  const { target } = sequence.policy;
  const fits = target !== null && sequence.fitted === null && decision.kind !== "given" && decision.kind !== "carryOn";
  const isWhole = fits || (decision.kind === "strategy" && decision.strategy.scope === "model");
  return isWhole ? new DeferredCut(judge, rowCount) : new LayerCut(judge, rowCount);
}

/** The rows of a probe, as they are read. */
export function probeChunks(probe: ProbeSource, room: number): (readonly number[])[] {
  if (probe.kind === "replay") return replayChunks(probe.request, probe.subject, Math.min(room, CHUNK_TOKENS));
  return probe.ids.length > 0 && probe.ids.length <= room ? [probe.ids] : [];
}
