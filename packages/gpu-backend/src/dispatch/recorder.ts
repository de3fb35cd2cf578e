import { WinnowError } from "@winnow/core-tensor";

import type { BufferStore } from "../buffers/buffer-store";
import { ParameterArena } from "../buffers/parameter-arena";
import { ScratchPool } from "../buffers/scratch-pool";
import { StagingRing, type Readback, type ReadbackPart } from "../buffers/staging-ring";
import type { StoredBuffer } from "../buffers/stored-buffer";
import { naming, type Explain } from "../device/failure-log";
import { BufferUsage } from "../device/flags";
import type { Gpu } from "../device/gpu";
import { GpuError } from "../device/gpu-error";
import type { GpuTrace } from "../trace/gpu-trace";
import { Timestamps } from "../trace/timestamps";
import { BindGroupCache, type BoundBuffer } from "./bind-group-cache";
import type { Binding } from "./binding";
import type { Dispatch, Plan } from "./dispatch";
import { FAULT_BYTES, faultIn } from "./fault";
import { PipelineCache } from "./pipeline-cache";
import type { PreparedDispatch } from "./prepared-dispatch";

/** A batch is submitted when so many of its dispatches were planned, so that the device works while the host plans more. */
const MAX_PLANNED_PER_BATCH = 64;
/** A batch is submitted at the latest when it has so many: those that are only told again take the host next to nothing. */
const MAX_DISPATCHES_PER_BATCH = 1024;
/** Longer writes are cut, so that the driver's copies of them can be freed one after another. */
const MAX_WRITE_BYTES = 2 ** 26;
/** Tables of parameters are bound in powers of two from here on, so that few bind groups serve them. */
const MIN_DATA_BYTES = 256;

/** Bytes to copy, counted from the buffers' beginnings. */
export interface ByteSpan {
  readonly from: number;
  readonly to: number;
  readonly bytes: number;
}

/** What has been read back, with the fault that a kernel reported since the last time. */
export interface ReadResult {
  readonly parts: readonly ArrayBuffer[];
  readonly fault: WinnowError | null;
}

/** How much is cached; it stands still once a decoder has warmed up. */
export interface RecorderCounts {
  readonly pipelines: number;
  readonly bindGroups: number;
  /** Since the recorder was made. */
  readonly dispatches: number;
  /** Since the recorder was made. */
  readonly submissions: number;
}

/**
 * Turns plans into commands: dispatches gather in one compute pass until something has to be read, or the batch is
 * full. What is recorded takes effect in the order of the calls.
 */
export class Recorder implements Disposable {
  readonly #gpu: Gpu;
  readonly #store: BufferStore;
  readonly #arena: ParameterArena;
  readonly #scratch: ScratchPool;
  readonly #staging: StagingRing;
  readonly #pipelines: PipelineCache;
  readonly #groups: BindGroupCache;
  #faults: StoredBuffer | null = null;
  #faultsPossible = false;
  #trace: Timestamps | null = null;
  #batch = 0;
  #encoder: GPUCommandEncoder | null = null;
  #pass: GPUComputePassEncoder | null = null;
  #labels: string[] = [];
  /** Dispatches of the batch that were planned for it. */
  #planned = 0;
  #dispatches = 0;
  readonly #release: () => void;

  constructor(gpu: Gpu, store: BufferStore) {
    this.#gpu = gpu;
    this.#store = store;
    this.#arena = new ParameterArena(gpu, store);
    this.#scratch = new ScratchPool(store);
    this.#staging = new StagingRing(store);
    this.#pipelines = new PipelineCache(gpu);
    this.#groups = new BindGroupCache(gpu);
    this.#release = store.onDestroy((buffer) => {
      this.#finishWith(buffer);
    });
  }

  get counts(): RecorderCounts {
    return {
      pipelines: this.#pipelines.size,
      bindGroups: this.#groups.size,
      dispatches: this.#dispatches,
      submissions: this.#batch,
    };
  }

  /**
   * Record a plan's dispatches.
   *
   * @returns them, to be told again: `replay`.
   * @throws GpuError `limit` for a binding beyond the adapter's, `lost`
   */
  run(plan: Plan): readonly PreparedDispatch[] {
    this.#gpu.expectAlive();
    const scratch = this.#takeScratch(plan);
    const prepared: PreparedDispatch[] = [];
    try {
      for (const dispatch of plan) {
        if (dispatch.grid.includes(0)) continue;
        const ready = this.#prepare(dispatch, scratch);
        prepared.push(ready);
        this.#planned++;
        this.#encode(ready);
      }
      return prepared;
    } finally {
      // The next plan may have them: its dispatches come later. In reverse, so that it gets them in the same order and
      // finds the same bind groups.
      for (const buffer of [...scratch.values()].reverse()) this.#scratch.giveBack(buffer);
    }
  }

  /**
   * Record what a plan was prepared as once more. None of its buffers may have been destroyed since. Its scratch need not
   * be taken: nobody else's commands come in between.
   *
   * @throws GpuError `lost`
   */
  replay(prepared: readonly PreparedDispatch[]): void {
    this.#gpu.expectAlive();
    for (const dispatch of prepared) this.#encode(dispatch);
  }

  /** Overwrite bytes of a buffer, from an offset of whole words; a last half word is filled up with zeros. */
  write(buffer: StoredBuffer, offset: number, bytes: Uint8Array): void {
    this.#gpu.expectAlive();
    // A write goes to the queue at once, and so must not overtake the commands of the batch that are about this buffer.
    if (buffer.lastBatch === this.#batch) this.submit();
    const whole = bytes.byteLength - (bytes.byteLength % 4);
    this.#gpu.failures.guard(naming(`writing to "${buffer.label}"`), () => {
      const { queue } = this.#gpu.device;
      for (let start = 0; start < whole; start += MAX_WRITE_BYTES) {
        const end = Math.min(whole, start + MAX_WRITE_BYTES);
        queue.writeBuffer(buffer.handle, offset + start, bytes.subarray(start, end));
      }
      if (whole < bytes.byteLength) {
        const last = new Uint8Array(4);
        last.set(bytes.subarray(whole));
        queue.writeBuffer(buffer.handle, offset + whole, last);
      }
    });
  }

  /** Fill a buffer with zeros. */
  clear(buffer: StoredBuffer): void {
    this.#gpu.expectAlive();
    this.#commands([buffer]).clearBuffer(buffer.handle);
  }

  /** Copy bytes, whole words, from one buffer to another. */
  copy(source: StoredBuffer, target: StoredBuffer, { from, to, bytes }: ByteSpan): void {
    this.#gpu.expectAlive();
    if (source !== target) {
      this.#commands([source, target]).copyBufferToBuffer(source.handle, from, target.handle, to, bytes);
      return;
    }
    // A buffer is not copied to itself, wherever in it: WebGPU, "copyBufferToBuffer".
    const between = this.#scratch.take(bytes);
    const commands = this.#commands([source, between]);
    commands.copyBufferToBuffer(source.handle, from, between.handle, 0, bytes);
    commands.copyBufferToBuffer(between.handle, 0, source.handle, to, bytes);
    this.#scratch.giveBack(between);
  }

  /** Read parts of buffers as they are after everything recorded so far, which is submitted. */
  async read(parts: readonly ReadbackPart[]): Promise<ReadResult> {
    this.#gpu.expectAlive();
    const readback = this.#recordRead(parts);
    this.submit();
    const read = await this.#gpu.waits.until(readback.bytes());
    const data = read.slice(0, parts.length);
    const [words] = read.slice(parts.length);
    return { parts: data, fault: words === undefined ? null : faultIn(new Uint32Array(words)) };
  }

  /** Resolves when everything recorded so far has run, with the fault that a kernel reported. */
  async finish(): Promise<WinnowError | null> {
    if (this.#faultsPossible) return (await this.read([])).fault;
    this.#gpu.expectAlive();
    this.submit();
    await this.#gpu.waits.until(this.#gpu.device.queue.onSubmittedWorkDone());
    return null;
  }

  /** Hand the batch to the device. */
  submit(): void {
    const encoder = this.#encoder;
    if (encoder === null) return;
    this.#endPass();
    this.#trace?.resolve(encoder);
    const labels = this.#labels;
    // Put into words only where something is to be told.
    const explain: Explain = (failure, message) => naming(`a batch of ${summary(labels)}`)(failure, message);
    this.#gpu.failures.guard(explain, () => {
      this.#arena.send();
      this.#gpu.device.queue.submit([encoder.finish()]);
    });
    this.#newBatch();
    this.#trace?.submitted();
  }

  /** Forget the batch: what it would have written keeps its old contents. */
  drop(): void {
    if (this.#encoder === null) return;
    this.#pass = null;
    this.#arena.drop();
    this.#trace?.drop();
    this.#newBatch();
  }

  /** Free what operations need between their dispatches; it is allocated anew when it is needed. */
  trim(): void {
    this.#scratch.trim();
  }

  /**
   * Take the time of every dispatch from now on.
   *
   * @returns ends it, once everything recorded meanwhile has run
   * @throws GpuError `validation` where the device has no timestamps, WinnowError `usage` where a trace runs already
   */
  startTrace(): () => Promise<GpuTrace> {
    if (this.#trace !== null) throw new WinnowError("usage", "a trace is running; end it before the next one");
    this.submit();
    const trace = new Timestamps(this.#gpu, this.#store, this.#staging, MAX_PLANNED_PER_BATCH);
    this.#trace = trace;
    return async () => {
      this.submit();
      this.#trace = null;
      try {
        return await this.#gpu.waits.until(trace.finish());
      } finally {
        trace[Symbol.dispose]();
      }
    };
  }

  [Symbol.dispose](): void {
    this.drop();
    this.#release();
  }

  #prepare(
    { kernel, params, bindings, data, grid }: Dispatch,
    scratch: ReadonlyMap<string, StoredBuffer>,
  ): PreparedDispatch {
    const pipeline = this.#pipelines.get(kernel);
    const dataBytes = kernel.data === undefined ? 0 : dataClass(data?.byteLength ?? 0);
    const room = this.#arena.roomOf(params.bytes) + this.#arena.roomOf(dataBytes);
    if (!this.#arena.holds(room)) {
      this.submit();
      this.#arena.growTo(room);
    }
    const arena = this.#arena.buffer;
    const bound: BoundBuffer[] = [{ buffer: arena, offset: 0, bytes: params.bytes }];
    for (const name of kernel.storageNames) {
      bound.push(this.#bound(kernel.label, name, bindings[name], scratch));
    }
    if (dataBytes > 0) bound.push({ buffer: arena, offset: 0, bytes: dataBytes });
    if (kernel.fault !== undefined) bound.push({ buffer: this.#faultBuffer(), offset: 0, bytes: FAULT_BYTES });
    const words = new Uint32Array(params.bytes / 4);
    params.write(new DataView(words.buffer), 0);
    return {
      label: kernel.label,
      pipeline,
      group: this.#groups.get(kernel.label, pipeline.layout, bound),
      buffers: bound.map(({ buffer }) => buffer),
      params: words,
      data: dataBytes === 0 ? null : Uint32Array.from(data ?? []),
      room,
      places: dataBytes === 0 ? [0] : [0, 0],
      grid,
      faulty: kernel.fault !== undefined,
    };
  }

  #encode({ label, pipeline, group, buffers, params, data, room, places, grid, faulty }: PreparedDispatch): void {
    if (!this.#arena.hasRoom(room)) this.submit();
    places[0] = this.#arena.put(params, params.byteLength);
    if (data !== null) places[1] = this.#arena.put(data, dataClass(data.byteLength));
    if (faulty) this.#faultsPossible = true;
    const pass = this.#openPass(label);
    for (const buffer of buffers) buffer.lastBatch = this.#batch;
    pass.setPipeline(pipeline.handle);
    pass.setBindGroup(0, group, places);
    pass.dispatchWorkgroups(grid[0], grid[1], grid[2]);
    this.#labels.push(label);
    this.#dispatches++;
    const traced = this.#trace !== null;
    if (traced) this.#endPass();
    const most = traced ? MAX_PLANNED_PER_BATCH : MAX_DISPATCHES_PER_BATCH;
    if (this.#planned >= MAX_PLANNED_PER_BATCH || this.#labels.length >= most) this.submit();
  }

  #bound(
    label: string,
    name: string,
    binding: Binding | undefined,
    scratch: ReadonlyMap<string, StoredBuffer>,
  ): BoundBuffer {
    if (binding === undefined) throw new WinnowError("backend", `${label}: nothing is bound to ${name}`);
    const most = this.#gpu.capabilities.limits.maxStorageBufferBindingSize;
    if (binding.bytes > most) {
      const what = binding.kind === "buffer" ? binding.buffer.label : binding.name;
      throw new GpuError(
        "limit",
        `${label}: ${name} binds ${binding.bytes} bytes of "${what}", and ${this.#gpu.adapter.name} allows ` +
          `maxStorageBufferBindingSize = ${most}; use a shorter context or a smaller model`,
      );
    }
    if (binding.kind === "buffer") return binding;
    const buffer = scratch.get(binding.name);
    if (buffer === undefined) throw new WinnowError("backend", `${label}: no scratch for ${binding.name}`);
    return { buffer, offset: 0, bytes: Math.min(buffer.bytes, most) };
  }

  #takeScratch(plan: Plan): ReadonlyMap<string, StoredBuffer> {
    const needs = new Map<string, number>();
    for (const { bindings } of plan) {
      for (const binding of Object.values(bindings)) {
        if (binding.kind === "buffer") continue;
        needs.set(binding.name, Math.max(binding.bytes, needs.get(binding.name) ?? 0));
      }
    }
    const taken = new Map<string, StoredBuffer>();
    for (const [name, bytes] of needs) taken.set(name, this.#scratch.take(bytes));
    return taken;
  }

  #recordRead(parts: readonly ReadbackPart[]): Readback {
    const encoder = this.#commands(parts.map(({ buffer }) => buffer));
    if (!this.#faultsPossible) return this.#staging.copy(encoder, parts);
    const faults = this.#faultBuffer();
    const readback = this.#staging.copy(encoder, [...parts, { buffer: faults, offset: 0, bytes: FAULT_BYTES }]);
    // Whoever reads it tells of it, and nobody else.
    encoder.clearBuffer(faults.handle);
    faults.lastBatch = this.#batch;
    this.#faultsPossible = false;
    return readback;
  }

  #faultBuffer(): StoredBuffer {
    return (this.#faults ??= this.#store.create({
      label: "faults",
      category: "activations",
      bytes: FAULT_BYTES,
      usage: BufferUsage.storage | BufferUsage.copySource | BufferUsage.copyTarget,
    }));
  }

  /** The encoder between passes, for commands on these buffers. */
  #commands(buffers: readonly StoredBuffer[]): GPUCommandEncoder {
    this.#endPass();
    const encoder = this.#openEncoder();
    for (const buffer of buffers) buffer.lastBatch = this.#batch;
    return encoder;
  }

  #openEncoder(): GPUCommandEncoder {
    return (this.#encoder ??= this.#gpu.device.createCommandEncoder({ label: "winnow" }));
  }

  #openPass(label: string): GPUComputePassEncoder {
    if (this.#pass !== null) return this.#pass;
    const timestampWrites = this.#trace?.next(label);
    const descriptor = timestampWrites === undefined ? { label } : { label, timestampWrites };
    return (this.#pass = this.#openEncoder().beginComputePass(descriptor));
  }

  #endPass(): void {
    this.#pass?.end();
    this.#pass = null;
  }

  #newBatch(): void {
    this.#encoder = null;
    this.#labels = [];
    this.#planned = 0;
    this.#batch++;
  }

  /** Commands on a destroyed buffer cannot be submitted any more. */
  #finishWith(buffer: StoredBuffer): void {
    if (buffer.lastBatch === this.#batch && this.#gpu.ended === null) this.submit();
    this.#groups.forget(buffer);
  }
}

function dataClass(bytes: number): number {
  return Math.max(MIN_DATA_BYTES, 2 ** Math.ceil(Math.log2(Math.max(1, bytes))));
}

/** `rmsNorm ×3, matmul`: what a batch held, for an error about it. */
function summary(labels: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  const parts = [...counts].map(([label, count]) => (count === 1 ? label : `${label} ×${count}`));
  return parts.length === 0 ? "copies" : parts.join(", ");
}
