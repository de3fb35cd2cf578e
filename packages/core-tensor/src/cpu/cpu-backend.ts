import type { AllocationOptions, Backend, BackendOperations, OperationName } from "../backend";
import type { DeviceTensor, Rows } from "../device-tensor";
import type { DType } from "../dtype";
import { WinnowError } from "../errors";
import { MemoryMeter } from "../memory-meter";
import { plainElements } from "../plain-elements";
import type { Shape } from "../shape";
import type { Tensor } from "../tensor";
import { copySpan } from "../copy-check";
import type { CpuEngine } from "./cpu-engine";
import type { CpuMemory } from "./cpu-memory";
import { CpuTensor, dataOf } from "./cpu-tensor";
import { downloadable, overwrite } from "./elements";
import { operationError } from "./operation-error";
import { CPU_STEP_ROWS } from "./step-rows";
import { referenceEngine } from "./reference-engine";

/**
 * The reference backend: plain JavaScript in the calling thread, which every other backend is tested against. An
 * operation runs when it is called, and its error surfaces at the next `download` or `flush`, as on a device.
 *
 * `createCpuWorkerBackend` of `@winnow/core-tensor/worker` leaves the caller's thread free; `@winnow/cpu-backend` is fast.
 *
 * @example
 * ```ts
 * using backend = createCpuBackend();
 * const x = backend.upload(tensor("f32", [1, 2], Float32Array.of(1, 2)), { label: "x", category: "activations" });
 * ```
 */
export function createCpuBackend(): Backend {
  return createCpuBackendOf(referenceEngine());
}

/** A backend of another engine, in the calling thread; it disposes of the engine. */
export function createCpuBackendOf(engine: CpuEngine): Backend {
  return new CpuBackend(engine);
}

type Operation<Name extends OperationName> = (spec: BackendOperations[Name]) => void;

class CpuBackend implements Backend {
  readonly name = "cpu";
  readonly stepRows = CPU_STEP_ROWS;
  readonly memory = new MemoryMeter();
  readonly #live = new Set<CpuTensor>();
  readonly #releases = new Map<number, () => void>();
  #nextId = 1;
  #failure: WinnowError | null = null;

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

  constructor(private readonly engine: CpuEngine) {}

  allocate(dtype: DType, shape: Shape, options: AllocationOptions): DeviceTensor {
    return this.#adopt(dtype, shape, this.engine.allocate(dtype, shape, options.label), options);
  }

  upload(source: Tensor, options: AllocationOptions): DeviceTensor {
    const memory = this.engine.hold(source, options.label);
    return this.#adopt(this.engine.holding.typeOf(source), source.shape, memory, options);
  }

  write(target: DeviceTensor, data: Float32Array | Uint32Array | Int32Array, offset = 0): void {
    plainElements("write", target);
    const { dtype, label } = target;
    overwrite({ dtype, label, data: dataOf(target) }, data, offset);
  }

  clear(target: DeviceTensor): void {
    dataOf(target).fill(0);
  }

  copy(source: Rows, target: Rows): void {
    const { from, to, count } = copySpan(source, target);
    dataOf(target.tensor).set(dataOf(source.tensor).subarray(from, from + count), to);
  }

  async downloadAll(sources: readonly DeviceTensor[]): Promise<(Float32Array | Uint32Array)[]> {
    return Promise.all(sources.map((source) => this.download(source)));
  }

  submit(): void {
    // What was called has run already.
  }

  async download(source: DeviceTensor, start = 0, count?: number): Promise<Float32Array | Uint32Array> {
    // Copied before anything is awaited: what is enqueued after this call must not show.
    const flushed = this.flush();
    const part = copyOf(source, start, count);
    await flushed;
    if (part instanceof WinnowError) throw part;
    return part;
  }

  async flush(): Promise<void> {
    const failure = this.#failure;
    this.#failure = null;
    // As with a device, the answer comes later: timers and events have their turn, and can stop a loop of steps.
    await nextTurn();
    if (failure !== null) throw failure;
  }

  interrupt(): void {
    // What was called has run already.
  }

  [Symbol.dispose](): void {
    for (const tensor of [...this.#live]) tensor[Symbol.dispose]();
    this.engine[Symbol.dispose]();
  }

  #operation<Name extends OperationName>(name: Name): Operation<Name> {
    return (spec) => {
      if (this.#failure !== null) return;
      try {
        this.engine.operations[name](spec, () => undefined);
      } catch (error) {
        this.#failure = operationError(name, error);
      }
    };
  }

  #adopt(dtype: DType, shape: Shape, memory: CpuMemory, { label, category }: AllocationOptions): DeviceTensor {
    const bytes = this.engine.holding.bytesOf(dtype, shape);
    const tensor = new CpuTensor(this.#nextId++, label, dtype, shape, bytes, memory, (gone) => {
      this.#live.delete(gone);
      this.#releases.get(gone.id)?.();
      this.#releases.delete(gone.id);
    });
    this.#live.add(tensor);
    this.#releases.set(tensor.id, this.memory.allocated(category, label, tensor.bytes));
    return tensor;
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === "function") setImmediate(resolve);
    else setTimeout(resolve, 0);
  });
}

/** The elements as they are now; an error is a value here, for an operation's own error goes first. */
function copyOf(source: DeviceTensor, start: number, count?: number): Float32Array | Uint32Array | WinnowError {
  try {
    const data = dataOf(source);
    plainElements("download", source);
    const end = count === undefined ? data.length : start + count;
    if (start < 0 || end > data.length) {
      return new WinnowError(
        "range",
        `download: elements ${start} to ${end} of "${source.label}", which has ${data.length}`,
      );
    }
    return downloadable(source.dtype, data.subarray(start, end));
  } catch (error) {
    return operationError("download", error);
  }
}
