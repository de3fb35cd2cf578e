import { formatBytes, formatShare } from "@winnow/profiler";
import type { GpuTrace } from "@winnow/gpu-backend";
import type { GenerationReport, Model } from "@winnow/runtime";

import { traceResult } from "./kernel-trace";

/** What `winnow run --json` prints; later tools rely on it. */
export function runResult(
  model: Model,
  report: GenerationReport,
  logits: readonly number[] | null,
  trace: GpuTrace | null,
): object {
  const { text, tokens, promptTokens, finishReason, backend, policy, recovery, kv, memory, timings } = report;
  return {
    text,
    tokens,
    promptTokens,
    finishReason,
    backend,
    policy,
    recovery,
    rows: report.rows,
    kv,
    speculation: report.speculation,
    memory: { weights: memory.weights, kv: memory.kv, activations: memory.activations, peak: memory.peak },
    timings: {
      loadMs: model.loadMs,
      promptMs: timings.promptMs,
      profileMs: timings.profileMs,
      tokenMs: timings.tokenMs,
    },
    ...(logits === null ? {} : { logits }),
    ...(trace === null ? {} : { trace: traceResult(trace.totals()) }),
  };
}

/** One line for people: what the cache holds, and how fast it went. */
export function summaryLine(report: GenerationReport): string {
  const { kv, promptTokens, finishReason, timings, rows, speculation } = report;
  const parts = [
    `KV cache ${formatBytes(kv.bytes)} of ${formatBytes(kv.fullBytes)} (${formatShare(kv.fullBytes === 0 ? null : kv.bytes / kv.fullBytes)}), peak ${formatBytes(kv.peakBytes)}`,
  ];
  // Of a prompt that was not read to its end there is no rate.
  if (finishReason !== "abort") parts.push(`${((1000 * promptTokens) / timings.promptMs).toFixed(0)} tokens/s read`);
  if (timings.tokensPerSecond !== null) parts.push(`${timings.tokensPerSecond.toFixed(0)} tokens/s written`);
  if (speculation !== null) parts.push(`${speculation.accepted} of ${speculation.drafted} guessed tokens drawn`);
  if (rows.note !== null) parts.push(rows.note);
  return parts.join(" · ");
}

export function printJson(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}
