import { WinnowError } from "@winnow/core-tensor";

import { agrees, areFinite } from "./agreement";
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
  /** The candidate's name; null where none computes what it should. */
  readonly chosen: string | null;
  /** Candidates that the device runs and whose results are others than those of the first that finds numbers: none is chosen. */
  readonly wrong: readonly string[];
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
 * A candidate that the device refuses is left out, and so is one whose results are others than those of the rest, as
 * they may be where a driver is at fault.
 *
 * @throws WinnowError `aborted`, and what the device fails with.
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
    const poll = (): void => {
      if (signal?.aborted === true) throw new WinnowError("aborted", "the measurement of kernels was stopped");
    };
    const { right, wrong } = await tryOut(candidates, bench, clock, poll);
    const timed = await timesOf(right, clock, poll);
    const chosen = fastest(timed);
    if (chosen !== null || wrong.length > 0) timings.push({ shape: task.key, candidates: timed, chosen, wrong });
    if (chosen !== null) {
      choices.set(task.key, { variant: chosen, source: task.sourceOf(memory.gpu.capabilities) });
    }
    onProgress?.(done + 1, tasks.length);
  }
  return { clock: clock.kind, timings, choices };
}

/**
 * Compile and run candidates: those that compute what the first does which computes in floats and finds numbers, and the names
 * of those that do not.
 */
async function tryOut(
  candidates: readonly TimedCandidate[],
  bench: OperandBench,
  clock: KernelClock,
  poll: () => void,
): Promise<{ readonly right: readonly TimedCandidate[]; readonly wrong: readonly string[] }> {
  const tried: { readonly candidate: TimedCandidate; readonly found: readonly Float32Array[] }[] = [];
  for (const candidate of candidates) {
    poll();
    bench.forgetResults();
    if (await clock.runs(candidate.plan)) tried.push({ candidate, found: await bench.readResults() });
  }
  const expected = tried.find(({ candidate, found }) => !candidate.rounds && areFinite(found))?.found ?? null;
  const isRight = ({ candidate, found }: (typeof tried)[number]): boolean =>
    expected !== null && agrees(expected, found, candidate.rounds);
  return {
    right: tried.filter(isRight).map(({ candidate }) => candidate),
    wrong: tried.filter((one) => !isRight(one)).map(({ candidate }) => candidate.name),
  };
}

async function timesOf(
  candidates: readonly TimedCandidate[],
  clock: KernelClock,
  poll: () => void,
): Promise<KernelTiming["candidates"]> {
  const all = candidates.map((candidate) => ({ candidate, times: new Array<number>() }));
  for (let round = 0; round < ROUNDS; round++) {
    for (const { candidate, times } of all) {
      poll();
      times.push(...(await clock.microseconds(candidate.plan)));
    }
  }
  return all.map(({ candidate, times }) => ({ name: candidate.name, microseconds: median(times) }));
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
