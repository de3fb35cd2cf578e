import { WinnowError } from "@winnow/core-tensor";

import type { AdapterDescription } from "./adapter-description";
import type { GpuCapabilities } from "./capabilities";
import { FailureLog, firstLine } from "./failure-log";
import { GpuError } from "./gpu-error";
import { Waits } from "./waits";

/**
 * A device with what is known of it, from `requestGpu`. Dispose it to end whatever it computes and to give all of its
 * memory back.
 */
export class Gpu implements Disposable {
  readonly failures: FailureLog;
  readonly waits = new Waits();
  #end: WinnowError | null = null;

  constructor(
    readonly device: GPUDevice,
    readonly adapter: AdapterDescription,
    readonly capabilities: GpuCapabilities,
  ) {
    this.failures = new FailureLog(device);
    device.addEventListener("uncapturederror", (event) => {
      event.preventDefault();
      this.failures.note(new GpuError("validation", `${adapter.name}: ${firstLine(event.error.message)}`));
    });
    void device.lost.then(({ reason, message }) => {
      this.#finish(
        new GpuError(
          "lost",
          `the GPU device of ${adapter.name} was lost (${reason}${message === "" ? "" : `: ${message.trim()}`}); ` +
            "its memory is gone: make a new backend, and if it happens again, read the prompt in smaller chunks",
        ),
      );
    });
  }

  /** Why the device can no longer be used; null while it can. */
  get ended(): WinnowError | null {
    return this.#end;
  }

  /** @throws GpuError `lost`, WinnowError `disposed` */
  expectAlive(): void {
    if (this.#end !== null) throw this.#end;
  }

  [Symbol.dispose](): void {
    this.#finish(new WinnowError("disposed", `the GPU device of ${this.adapter.name} was disposed`));
    this.device.destroy();
  }

  #finish(reason: WinnowError): void {
    if (this.#end !== null) return;
    this.#end = reason;
    this.waits.breakAll(reason);
  }
}
