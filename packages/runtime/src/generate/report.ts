import type { MemorySnapshot } from "@winnow/core-tensor";

import type { DriftCounts } from "../cache/drift";
import type { SpeculationCounts } from "./speculation";

/** Why a generation ended: an end-of-text token or stop string, a limit, the caller, or a failure. */
export type FinishReason = "stop" | "length" | "abort" | "error";

/** What one sequence's cache really held. Arrays are by layer, then by KV head. */
export interface KvReport {
  /** Bytes of the pages and columns in use at the end. */
  readonly bytes: number;
  /** What the full cache would hold then, with pages of the same size and type. */
  readonly fullBytes: number;
  /** The greatest number of bytes in use so far, with the scratch of prompts. */
  readonly peakBytes: number;
  /** Tokens read so far, evicted ones included. */
  readonly tokens: number;
  /** Prompt slots after the cut. */
  readonly kept: readonly (readonly number[])[];
  /** Slots at the end. */
  readonly slots: readonly (readonly number[])[];
  /** Each head's policy in canonical text, as it is now: with drift it may keep more than the one that the cut gave. */
  readonly plan: readonly (readonly string[])[];
  /** Measured recovery; null where nothing was measured. */
  readonly recovery: readonly (readonly (number | null)[])[];
  /** Sweeps that were put off and policies that were changed because what heads attend to drifts; null where it is ignored. */
  readonly drift: DriftCounts | null;
}

export interface Timings {
  /** Waiting for other prompts, and for room in the KV budget. */
  readonly queueMs: number;
  /** Reading the prompt, profiling included. */
  readonly promptMs: number;
  /**
   * Asking the table, deciding and selecting, and reading the probe's rows. The additions that fill the table
   * happen inside attention and count as reading.
   */
  readonly profileMs: number;
  /** Time between tokens; null with fewer than two. */
  readonly tokenMs: { readonly p50: number; readonly p99: number } | null;
  readonly tokensPerSecond: number | null;
}

/** What a generation did. */
export interface GenerationReport {
  /** Generated text without special tokens. */
  readonly text: string;
  /** Generated ids, a final end-of-text id included. */
  readonly tokens: readonly number[];
  /** Tokens of the prompt's parts. */
  readonly promptTokens: number;
  /** Tokens before the answer that had been read already: what the session's cache held, or a part that prompts share. */
  readonly cachedTokens: number;
  readonly finishReason: FinishReason;
  readonly backend: "cpu" | "webgpu";
  /** The policy as asked for. */
  readonly policy: string;
  /** The threshold T as asked for; null where the policy has none. */
  readonly recovery: number | null;
  /** Where the profiled rows came from, and why if that is not what was asked for. */
  readonly rows: { readonly source: string; readonly note: string | null };
  readonly kv: KvReport;
  /** What guessing the answer's tokens came to; null where none were guessed. */
  readonly speculation: SpeculationCounts | null;
  readonly memory: MemorySnapshot;
  readonly timings: Timings;
}

/** The median and the 99th percentile (nearest rank) of some times. */
export function percentiles(times: readonly number[]): { p50: number; p99: number } | null {
  if (times.length === 0) return null;
  const sorted = [...times].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? NaN;
  return { p50: at(0.5), p99: at(0.99) };
}

/** @param times ms between tokens; null for none. */
export function tokensPerSecond(times: readonly number[]): number | null {
  const total = times.reduce((sum, time) => sum + time, 0);
  return total === 0 ? null : (1000 * times.length) / total;
}
