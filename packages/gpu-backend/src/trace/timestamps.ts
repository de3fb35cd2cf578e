import type { BufferStore } from "../buffers/buffer-store";
import type { Readback, StagingRing } from "../buffers/staging-ring";
import type { StoredBuffer } from "../buffers/stored-buffer";
import { BufferUsage } from "../device/flags";
import type { Gpu } from "../device/gpu";
import { GpuError } from "../device/gpu-error";
import { GpuTrace, type TraceSpan } from "./gpu-trace";

const STAMP_BYTES = 8;

/** Takes the device's time at the beginning and end of each dispatch of a batch, and gathers them over batches. */
export class Timestamps implements Disposable {
  readonly #queries: GPUQuerySet;
  readonly #resolved: StoredBuffer;
  readonly #staging: StagingRing;
  readonly #gathered: Promise<readonly { label: string; begin: bigint; end: bigint }[]>[] = [];
  #labels: string[] = [];
  #readback: Readback | null = null;

  /** @throws GpuError `validation` where the device has no timestamps. */
  constructor(gpu: Gpu, store: BufferStore, staging: StagingRing, dispatchesPerBatch: number) {
    if (!gpu.capabilities.timestamps) {
      throw new GpuError(
        "validation",
        `${gpu.adapter.name} offers no timestamp-query; trace on another adapter, or time whole steps instead`,
      );
    }
    const count = 2 * dispatchesPerBatch;
    this.#staging = staging;
    this.#queries = gpu.device.createQuerySet({ label: "trace", type: "timestamp", count });
    this.#resolved = store.create({
      label: "trace",
      category: "activations",
      bytes: count * STAMP_BYTES,
      usage: BufferUsage.queryResolve | BufferUsage.copySource,
    });
  }

  /** Where the pass of the next dispatch puts its times. */
  next(label: string): GPUComputePassTimestampWrites {
    const beginning = 2 * this.#labels.length;
    this.#labels.push(label);
    return {
      querySet: this.#queries,
      beginningOfPassWriteIndex: beginning,
      endOfPassWriteIndex: beginning + 1,
    };
  }

  /** Record the copy of a batch's times, behind its last pass. */
  resolve(encoder: GPUCommandEncoder): void {
    const count = 2 * this.#labels.length;
    if (count === 0) return;
    encoder.resolveQuerySet(this.#queries, 0, count, this.#resolved.handle, 0);
    this.#readback = this.#staging.copy(encoder, [{ buffer: this.#resolved, offset: 0, bytes: count * STAMP_BYTES }]);
  }

  /** Begin to read what `resolve` copied, once it is submitted. */
  submitted(): void {
    const labels = this.#labels;
    const readback = this.#readback;
    this.drop();
    if (readback === null) return;
    const batch = readback.bytes().then(([bytes = new ArrayBuffer(0)]) => {
      const stamps = new BigUint64Array(bytes);
      return labels.map((label, i) => ({ label, begin: stamps[2 * i] ?? 0n, end: stamps[2 * i + 1] ?? 0n }));
    });
    // A failure is told by `finish`, which may come much later.
    batch.catch(() => undefined);
    this.#gathered.push(batch);
  }

  /** Forget a batch that will not be submitted. */
  drop(): void {
    this.#labels = [];
    this.#readback = null;
  }

  async finish(): Promise<GpuTrace> {
    const batches = await Promise.all(this.#gathered);
    const stamps = batches.flat();
    const origin = stamps.reduce((least, { begin }) => (begin < least ? begin : least), stamps[0]?.begin ?? 0n);
    const spans = stamps.map(({ label, begin, end }): TraceSpan => ({
      label,
      start: Number(begin - origin),
      // Clocks of some drivers step back now and then.
      duration: Math.max(0, Number(end - begin)),
    }));
    return new GpuTrace(spans);
  }

  [Symbol.dispose](): void {
    this.#queries.destroy();
    this.#resolved.destroy();
  }
}
