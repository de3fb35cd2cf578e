import { WinnowError } from "@winnow/core-tensor";

import type { KernelClock } from "./kernel-clock";
import type { SavedChoice } from "./kernel-family";
import { OperandBench, type OperandMemory } from "./operand-bench";
import type { TimedCandidate, TuningTask } from "./tuning-task";

/** How kernels are measured. */
export interface TuneOptions {
  /**
   * Whether products may round activations: with q8_0, q4_0 and q4_k weights to eight bits, as llama.cpp and the CPU backend do,
   * and in subgroup matrices to halves. That may be faster, and is less exact. False unless told otherwise; then choices differ
   * in the order of f32 sums at most.
   */
  readonly roundActivations?: boolean;
  /** Called when a shape has been measured. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Stops between two candidates. */
  readonly signal?: AbortSignal | undefined;
}

/** What was measured for one shape. */
export interface KernelTiming {
  /** The operation and the shape, such as `matmul.few q4_0 4096→14336 gated normed`. */
  readonly shape: string;
  /** Medians, in microseconds, in the order in which they are considered: the first is what runs where nothing was measured. */
  readonly candidates: readonly { readonly name: string; readonly microseconds: number }[];
  /** The candidate's name. */
  readonly chosen: string;
}

/** What `tuneKernels` found: for people, and for `saveKernelChoices`. */
export interface KernelTuning {
  /** Where times come from: the device's timestamps, or the host's clock. */
  readonly clock: "gpu" | "wall";
  readonly timings: readonly KernelTiming[];
  readonly choices: ReadonlyMap<string, SavedChoice>;
}

/** Another candidate must be so much faster than the first: what is measured twice differs by some hundredths. */
const GAIN = 0.95;
/** Candidates are timed one after the other, several times over, so that a slow moment of the machine is nobody's. */
const ROUNDS = 3;

/**
 * Time the candidates of some shapes, and choose the fastest of each.
 *
 * @throws WinnowError `aborted`, and what the device fails with. A candidate that the device refuses is left out.
 */
export async function tuneTasks(
  tasks: readonly TuningTask[],
  memory: OperandMemory,
  clock: KernelClock,
  { roundActivations = false, onProgress, signal }: TuneOptions,
): Promise<KernelTuning> {
  const timings: KernelTiming[] = [];
  const choices = new Map<string, SavedChoice>();
  for (const [done, task] of tasks.entries()) {
    using bench = new OperandBench(memory);
    const candidates = task.prepare(bench).filter(({ rounds }) => roundActivations || !rounds);
    const timed = await timesOf(candidates, clock, () => {
      if (signal?.aborted === true) throw new WinnowError("aborted", "the measurement of kernels was stopped");
    });
    const chosen = fastest(timed);
    if (chosen !== null) {
      timings.push({ shape: task.key, candidates: timed, chosen });
      choices.set(task.key, { variant: chosen, source: task.sourceOf(memory.gpu.capabilities) });
    }
    onProgress?.(done + 1, tasks.length);
  }
  return { clock: clock.kind, timings, choices };
}

async function timesOf(
  candidates: readonly TimedCandidate[],
  clock: KernelClock,
  poll: () => void,
): Promise<KernelTiming["candidates"]> {
  const runnable: { readonly candidate: TimedCandidate; readonly times: number[] }[] = [];
  for (const candidate of candidates) {
    poll();
    // Compiles it, and finds out whether the device takes it.
    if (await clock.runs(candidate.plan)) runnable.push({ candidate, times: [] });
  }
  for (let round = 0; round < ROUNDS; round++) {
    for (const { candidate, times } of runnable) {
      poll();
      times.push(...(await clock.microseconds(candidate.plan)));
    }
  }
  return runnable.map(({ candidate, times }) => ({ name: candidate.name, microseconds: median(times) }));
}

/** The name of the fastest, or of the first where none is clearly faster; null of none. */
export function fastest(timed: KernelTiming["candidates"]): string | null {
  const [first] = timed;
  if (first === undefined) return null;
  const best = timed.reduce((least, each) => (each.microseconds < least.microseconds ? each : least));
  return best.microseconds < GAIN * first.microseconds ? best.name : first.name;
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)] ?? NaN;
  return Number.isInteger(middle) ? ((sorted[middle - 1] ?? NaN) + upper) / 2 : upper;
}
