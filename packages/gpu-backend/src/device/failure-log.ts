import type { WinnowError } from "@winnow/core-tensor";

import { GpuError, type GpuFailure } from "./gpu-error";

/** Inner scopes come last: a device reports to the innermost one that its error fits. */
const SCOPES = [
  { filter: "internal", failure: "internal" },
  { filter: "out-of-memory", failure: "out-of-memory" },
  { filter: "validation", failure: "validation" },
] as const satisfies readonly { filter: GPUErrorFilter; failure: GpuFailure }[];

/** What a failure of a guarded call should say, where the device's own words are not enough. */
export type Explain = (failure: GpuFailure, message: string) => WinnowError | Promise<WinnowError>;

/**
 * Errors between the call at fault and the `flush` or `download` that tells of them: WebGPU reports its own ones only
 * some time after the call.
 */
export class FailureLog {
  readonly #device: GPUDevice;
  /** In the order of the calls; what is known to have gone well is removed. */
  readonly #entries = new Set<Promise<WinnowError | null>>();
  #reported = false;

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** Whether an operation has been reported since the last checkpoint: then those behind it need not be tried. */
  get reported(): boolean {
    return this.#reported;
  }

  /** Note an error of an operation that was never enqueued. */
  report(error: WinnowError): void {
    this.#reported = true;
    this.note(error);
  }

  /** Note an error that the device told of. */
  note(error: WinnowError): void {
    this.#entries.add(Promise.resolve(error));
  }

  /** Make calls to the device, and note what it will have to say about them. */
  guard<T>(explain: Explain, act: () => T): T {
    for (const { filter } of SCOPES) this.#device.pushErrorScope(filter);
    try {
      return act();
    } finally {
      const popped = [...SCOPES].reverse().map(async ({ failure }) => {
        const error = await this.#device.popErrorScope();
        return error === null ? null : { failure, message: error.message };
      });
      this.#watch(firstOf(popped, explain));
    }
  }

  /** Take over everything noted so far; the function waits for it and gives the first error, or null. */
  checkpoint(): () => Promise<WinnowError | null> {
    const entries = [...this.#entries];
    this.#entries.clear();
    this.#reported = false;
    return async () => (await Promise.all(entries)).find((error) => error !== null) ?? null;
  }

  #watch(entry: Promise<WinnowError | null>): void {
    this.#entries.add(entry);
    void entry.then((error) => {
      if (error === null) this.#entries.delete(entry);
    });
  }
}

async function firstOf(
  popped: readonly Promise<{ failure: GpuFailure; message: string } | null>[],
  explain: Explain,
): Promise<WinnowError | null> {
  try {
    const found = (await Promise.all(popped)).find((error) => error !== null);
    return found == null ? null : await explain(found.failure, firstLine(found.message));
  } catch {
    // Scopes of a lost device may reject; its loss is told in its own words.
    return null;
  }
}

/** An `Explain` that names what was done and to what. */
export function naming(what: string): Explain {
  return (failure, message) => new GpuError(failure, `${what}: ${message}`);
}

/** Dawn's messages go on for lines about where in the API they arose. */
export function firstLine(message: string): string {
  return message.trim().split("\n")[0]?.trim() ?? message;
}
