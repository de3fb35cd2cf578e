import {
  copySpan,
  ELEMENT_BYTES,
  elementCount,
  MemoryMeter,
  plainElements,
  tensorBytes,
  WinnowError,
  type AllocationOptions,
  type Backend,
  type BackendOperations,
  type DeviceTensor,
  type DType,
  type OperationName,
  type Rows,
  type Shape,
  type Tensor,
} from "@winnow/core-tensor";

import { BufferStore } from "./buffers/buffer-store";
import { bytesToUpload, decode, encode, plainType } from "./buffers/elements";
import { gpuTensor, GpuTensor } from "./buffers/gpu-tensor";
import { BufferUsage } from "./device/flags";
import type { Gpu } from "./device/gpu";
import { PlanMemo } from "./dispatch/plan-memo";
import { Recorder, type RecorderCounts } from "./dispatch/recorder";
import { tuningTasks } from "./kernels/families";
import { operationError } from "./operation-error";
import { PLANNERS, type Planner } from "./operations";
import { REPEATS } from "./repeats";
import { STEP_ROWS } from "./step-rows";
import type { GpuTrace } from "./trace/gpu-trace";
import { KernelClock } from "./tune/kernel-clock";
import type { KernelChoices, PlanTarget } from "./tune/kernel-family";
import type { OperandMemory } from "./tune/operand-bench";
import { tuneTasks, type KernelTuning, type TuneOptions } from "./tune/tune-kernels";

/** How much is cached and was done; what is cached stands still once a decoder has warmed up. */
export interface WebGpuCounts extends RecorderCounts {
  /** Operations whose dispatches are kept, to be told to the device again. */
  readonly plans: number;
  /** Operations that were planned since the backend was made; the others were repeated. */
  readonly planned: number;
}

/** What a WebGPU backend has beyond every backend. */
export interface WebGpuBackend extends Backend {
  readonly name: "webgpu";
  readonly gpu: Gpu;
  /** Caches and commands so far. */
  readonly counts: WebGpuCounts;
  /**
   * Take the device's time for every dispatch from now on; the function ends that and gives the times.
   *
   * @throws GpuError `validation` where the device has no timestamps.
   */
  startTrace(): () => Promise<GpuTrace>;
  /**
   * Time the kernels that could run the shapes of products that this backend was used with so far, and choose. The backend
   * itself goes on as it was made: save the choices by `saveKernelChoices` for those that are made from now on.
   *
   * @throws WinnowError `aborted`, and what the device fails with.
   * @example
   * ```ts
   * await session.read(parts); // uses the model's shapes
   * await saveKernelChoices(store, backend.gpu, await backend.tuneKernels());
   * ```
   */
  tuneKernels(options?: TuneOptions): Promise<KernelTuning>;
  /** Give back memory that operations keep for their intermediate results. */
  trim(): void;
}

export interface WebGpuBackendOptions {
  /** Kernels that were measured to be the fastest, from `loadKernelChoices`; none unless told otherwise. */
  readonly kernels?: KernelChoices;
}

/**
 * A backend on a device, which it takes over: disposing it disposes the device.
 *
 * @example
 * ```ts
 * using backend = createWebGpuBackend(await requestGpu());
 * ```
 */
export function createWebGpuBackend(gpu: Gpu, options: WebGpuBackendOptions = {}): WebGpuBackend {
  return new GpuBackend(gpu, options);
}

/** Elements of a tensor to read back. */
interface Span {
  readonly source: DeviceTensor;
  readonly start: number;
  readonly end: number;
}

type Operation<Name extends OperationName> = (spec: BackendOperations[Name]) => void;

class GpuBackend implements WebGpuBackend {
  readonly name = "webgpu";
  readonly stepRows = STEP_ROWS;
  readonly memory = new MemoryMeter();
  readonly gpu: Gpu;
  readonly #store: BufferStore;
  readonly #recorder: Recorder;
  readonly #memo = new PlanMemo();
  readonly #live = new Set<GpuTensor>();
  readonly #target: PlanTarget;
  #planned = 0;

  readonly embed = this.#operation("embed");
  readonly rmsNorm = this.#operation("rmsNorm");
  readonly matmul = this.#operation("matmul");
  readonly append = this.#operation("append");
  readonly attend = this.#operation("attend");
  readonly statistics = this.#operation("statistics");
  readonly summarise = this.#operation("summarise");
  readonly select = this.#operation("select");
  readonly weigh = this.#operation("weigh");
  readonly compact = this.#operation("compact");
  readonly gather = this.#operation("gather");
  readonly sample = this.#operation("sample");

  constructor(gpu: Gpu, { kernels }: WebGpuBackendOptions) {
    this.gpu = gpu;
    // A set of its own even where others have the same: what is used is noted by it.
    this.#target = { ...gpu.capabilities, kernels: new Map(kernels) };
    this.#store = new BufferStore(gpu, this.memory);
    this.#recorder = new Recorder(gpu, this.#store);
    this.#store.onDestroy((buffer) => {
      this.#memo.forget(buffer);
    });
  }

  get counts(): WebGpuCounts {
    return { ...this.#recorder.counts, plans: this.#memo.size, planned: this.#planned };
  }

  allocate(dtype: DType, shape: Shape, { label, category }: AllocationOptions): DeviceTensor {
    const bytes = tensorBytes(dtype, shape);
    const usage = BufferUsage.storage | BufferUsage.copySource | BufferUsage.copyTarget;
    const buffer = this.#store.create({ label, category, bytes, usage });
    const tensor = new GpuTensor(buffer, dtype, shape, (gone) => this.#live.delete(gone));
    this.#live.add(tensor);
    return tensor;
  }

  upload(source: Tensor, options: AllocationOptions): DeviceTensor {
    const tensor = this.allocate(source.dtype, source.shape, options);
    this.#recorder.write(gpuTensor(tensor).buffer, 0, bytesToUpload(source));
    return tensor;
  }

  write(target: DeviceTensor, data: Float32Array | Uint32Array | Int32Array, offset = 0): void {
    const { buffer, dtype, label } = gpuTensor(target);
    const elements = plainElements("write", target);
    const type = plainType(dtype, label);
    const end = offset + data.length;
    if (offset < 0 || end > elements) {
      throw new WinnowError(
        "range",
        `write: ${data.length} elements at ${offset} do not fit "${label}", ${elements} elements of ${dtype}`,
      );
    }
    const size = ELEMENT_BYTES[type];
    if (size === 2 && (offset % 2 !== 0 || (end % 2 !== 0 && end !== elements))) {
      throw new WinnowError(
        "range",
        `write: elements ${offset} to ${end} of "${label}" begin or end within a word, which holds two of ${dtype}; ` +
          "write an even number of them from an even one",
      );
    }
    this.#recorder.write(buffer, offset * size, encode(type, data, label));
  }

  clear(target: DeviceTensor): void {
    this.#recorder.clear(gpuTensor(target).buffer);
  }

  copy(source: Rows, target: Rows): void {
    const { from, to, count } = copySpan(source, target);
    const size = ELEMENT_BYTES[plainType(source.tensor.dtype, source.tensor.label)];
    if ([from, to, count].some((elements) => (elements * size) % 4 !== 0)) {
      throw new WinnowError(
        "range",
        `copy: rows ${source.start} to ${source.start + source.count} of "${source.tensor.label}" begin or end within a word; copy whole words`,
      );
    }
    const [read, written] = [gpuTensor(source.tensor).buffer, gpuTensor(target.tensor).buffer];
    this.#recorder.copy(read, written, { from: from * size, to: to * size, bytes: count * size });
  }

  async download(source: DeviceTensor, start = 0, count?: number): Promise<Float32Array | Uint32Array> {
    const end = count === undefined ? elementCount(source.shape) : start + count;
    const [data = new Float32Array(0)] = await this.#read([{ source, start, end }]);
    return data;
  }

  downloadAll(sources: readonly DeviceTensor[]): Promise<(Float32Array | Uint32Array)[]> {
    return this.#read(sources.map((source) => ({ source, start: 0, end: elementCount(source.shape) })));
  }

  submit(): void {
    if (!this.gpu.failures.reported) this.#recorder.submit();
  }

  async flush(): Promise<void> {
    await this.#settled("flush", async () => {
      const fault = await this.#recorder.finish();
      if (fault !== null) throw fault;
    });
  }

  interrupt(): void {
    // What the device has begun it finishes, but nobody waits for it any more.
    this.#recorder.drop();
    void this.gpu.failures.checkpoint();
    this.gpu.waits.breakAll(new WinnowError("aborted", "the WebGPU backend was interrupted"));
  }

  startTrace(): () => Promise<GpuTrace> {
    return this.#recorder.startTrace();
  }

  async tuneKernels(options: TuneOptions = {}): Promise<KernelTuning> {
    // What was enqueued before is not part of any time.
    await this.flush();
    const memory: OperandMemory = {
      gpu: this.gpu,
      allocate: (dtype, shape) => this.allocate(dtype, shape, { label: "tuning", category: "activations" }),
      write: (tensor, bytes) => {
        this.#recorder.write(gpuTensor(tensor).buffer, 0, bytes);
      },
      read: async (tensor) => {
        const found = await this.download(tensor);
        if (!(found instanceof Float32Array)) throw new TypeError(`results are ${tensor.dtype}, expected f32`);
        return found;
      },
    };
    const clock = new KernelClock({
      timestamps: this.gpu.capabilities.timestamps,
      run: (plan) => {
        this.#recorder.run(plan);
      },
      flush: () => this.flush(),
      startTrace: () => this.#recorder.startTrace(),
      ended: () => this.gpu.ended !== null,
    });
    return tuneTasks(tuningTasks(this.#target.kernels), memory, clock, options);
  }

  trim(): void {
    this.#recorder.trim();
  }

  [Symbol.dispose](): void {
    this.#recorder[Symbol.dispose]();
    for (const tensor of [...this.#live]) tensor[Symbol.dispose]();
    this.#store[Symbol.dispose]();
    this.gpu[Symbol.dispose]();
  }

  /**
   * What is enqueued and awaited, or the first error of all that was enqueued before: the act itself may fail only
   * because an operation did, and then that one's error says more.
   */
  async #settled<T>(name: string, act: () => Promise<T>): Promise<T> {
    const work = act();
    // Behind the act's own commands, whose batch holds those of the operations before it.
    const settle = this.gpu.failures.checkpoint();
    const [result, failure] = await Promise.allSettled([work, this.gpu.waits.until(settle())]);
    if (failure.status === "fulfilled" && failure.value !== null) throw failure.value;
    if (this.gpu.ended !== null) throw this.gpu.ended;
    if (failure.status === "rejected") throw operationError(name, failure.reason);
    if (result.status === "rejected") throw operationError(name, result.reason);
    return result.value;
  }

  async #read(spans: readonly Span[]): Promise<(Float32Array | Uint32Array)[]> {
    const read = await this.#settled("download", async () => {
      const parts = spans.map(({ source, start, end }) => {
        const { buffer, dtype, label, shape } = gpuTensor(source);
        const elements = elementCount(shape);
        if (start < 0 || end > elements) {
          throw new WinnowError("range", `elements ${start} to ${end} of "${label}", which has ${elements}`);
        }
        const size = ELEMENT_BYTES[plainType(dtype, label)];
        return { buffer, offset: start * size, bytes: (end - start) * size };
      });
      const result = await this.#recorder.read(parts);
      if (result.fault !== null) throw result.fault;
      return result.parts;
    });
    return spans.map(({ source }, i) => decode(plainType(source.dtype, source.label), read[i] ?? new ArrayBuffer(0)));
  }

  #operation<Name extends OperationName>(name: Name): Operation<Name> {
    const plan: Planner<Name> = PLANNERS[name];
    const repeat = REPEATS[name];
    return (spec) => {
      if (this.gpu.failures.reported) return;
      try {
        const known = repeat === undefined ? null : this.#memo.find(name, repeat, spec);
        if (known !== null) {
          this.#recorder.replay(known);
          return;
        }
        this.#planned++;
        const prepared = this.#recorder.run(plan(spec, this.#target));
        if (repeat !== undefined) this.#memo.keep(name, repeat, spec, prepared);
      } catch (error) {
        this.gpu.failures.report(operationError(name, error));
      }
    };
  }
}
