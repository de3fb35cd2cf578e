import { WinnowError } from "@winnow/core-tensor";
import type { WebGpuBackend } from "@winnow/gpu-backend";
import type { Model } from "@winnow/runtime";

import type { HostClock } from "./host-clock";
import { operationRow, type Ceilings, type OperationRow, type Skipped } from "./result";
import { Stopwatch } from "./stopwatch";
import type { Work } from "./work";

/** One loaded model, and what its operations are measured with. */
export class ShapeBench {
  readonly stopwatch: Stopwatch;

  constructor(
    readonly model: Model,
    /** The model's own backend. */
    readonly backend: WebGpuBackend,
    /** Of that backend. */
    readonly hostClock: HostClock,
    readonly ceilings: Ceilings,
  ) {
    this.stopwatch = new Stopwatch(backend);
  }

  /** Time an operation; `act` enqueues it, for the repetition that it is told. */
  async operation(name: string, work: Work, act: (repetition: number) => void): Promise<OperationRow> {
    return operationRow(name, work, await this.stopwatch.time(act), this.ceilings);
  }

  /** Measure, or say why that is not possible where the device lacks memory or its limits are too low. */
  async attempt<R>(name: string, measure: () => Promise<R>): Promise<R | Skipped> {
    try {
      return await measure();
    } catch (error) {
      if (error instanceof WinnowError && error.code === "memory") return { name, skipped: error.message };
      throw error;
    }
  }
}
