import type { GpuCapabilities } from "../device/capabilities";
import type { Plan } from "../dispatch/dispatch";
import type { KernelChoices, KernelFamily, Workbench } from "./kernel-family";

/** A candidate that can be run. */
export interface TimedCandidate {
  readonly name: string;
  readonly rounds: boolean;
  /** The operation's plan; repetitions take operands in turn. */
  readonly plan: (repetition: number) => Plan;
}

/** One shape whose candidates are to be timed, whatever its family is. */
export interface TuningTask {
  /** What the choice is saved under. */
  readonly key: string;
  /** A digest of the candidates' shaders. */
  readonly sourceOf: (capabilities: GpuCapabilities) => string;
  /** The candidates with their operands; first what is taken where nothing was measured. */
  readonly prepare: (bench: Workbench) => readonly TimedCandidate[];
}

/** The shapes of a family that were looked up with these choices. */
export function tasksOf<Shape, Choice>(
  family: KernelFamily<Shape, Choice>,
  kernels: KernelChoices,
): readonly TuningTask[] {
  return family.shapesUsed(kernels).map((shape) => ({
    key: family.keyOf(shape),
    sourceOf: (capabilities) => family.sourceOf(shape, capabilities),
    prepare: (bench) => {
      const workload = family.workload(shape, bench);
      return family.candidates(shape, bench.capabilities).map(({ name, rounds, choice }) => ({
        name,
        rounds,
        plan: (repetition) => workload(choice, repetition),
      }));
    },
  }));
}
