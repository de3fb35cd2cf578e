import { Worker } from "node:worker_threads";

import type { AllocationOptions, Backend, BackendOperations, OperationName } from "../backend";
import type { DeviceTensor, Rows } from "../device-tensor";
import type { DType } from "../dtype";
import { WinnowError } from "../errors";
import { MemoryMeter } from "../memory-meter";
import { plainElements } from "../plain-elements";
import type { Shape } from "../shape";
import type { Tensor } from "../tensor";
import { copySpan } from "../copy-check";
import type { CpuHolding } from "./cpu-engine";
import { operationError } from "./operation-error";
import { WIDENED } from "./reference-engine";
import { unpackParts } from "./packed-parts";
import { putCommand } from "./small-commands";
import { SpecWriter } from "./spec-stream";
import { CPU_STEP_ROWS } from "./step-rows";
import {
  COMMAND,
  type Batch,
  type Command,
  type Part,
  type Reply,
  type WorkerSetup,
  type Words,
} from "./worker-protocol";

/** Operations and commands are posted together, at the latest when so many have gathered. */
const MAX_BATCH = 256;

export interface CpuWorkerOptions {
  /** Where `cpu-worker.js` of this package lies, for programs whose bundler has moved it away from this module. */
  readonly script?: URL;
  /** What the engine of another script's thread makes of host data; that of the reference unless told otherwise. */
  readonly holding?: CpuHolding;
  /** What another script's thread is told, as `own` of its `workerData`. */
  readonly setup?: unknown;
}

/**
 * The CPU backend in a thread of its own, so that a long prompt blocks neither Ctrl-C nor a stream nor a timer in the
 * calling thread, and `interrupt` stops it within milliseconds.
 *
 * @example
 * ```ts
 * using backend = createCpuWorkerBackend();
 * const x = backend.allocate("f32", [2], { label: "x", category: "activations" });
 * await backend.download(x); // Float32Array [0, 0]
 * ```
 */
export function createCpuWorkerBackend(options: CpuWorkerOptions = {}): Backend {
  return new CpuWorkerBackend(
    options.script ?? new URL("./cpu-worker.js", import.meta.url),
    options.holding ?? WIDENED,
    options.setup,
  );
}

class RemoteTensor implements DeviceTensor {
  #release: (() => void) | null;

  constructor(
    readonly id: number,
    readonly label: string,
    readonly dtype: DType,
    readonly shape: Shape,
    readonly bytes: number,
    release: (tensor: RemoteTensor) => void,
  ) {
    this.#release = () => {
      release(this);
    };
  }

  get disposed(): boolean {
    return this.#release === null;
  }

  [Symbol.dispose](): void {
    const release = this.#release;
    this.#release = null;
    release?.();
  }
}

interface Ticket {
  resolve(packed: Uint32Array): void;
  reject(error: WinnowError): void;
}

type Operation<Name extends OperationName> = (spec: BackendOperations[Name]) => void;

class CpuWorkerBackend implements Backend {
  readonly name = "cpu";
  readonly stepRows = CPU_STEP_ROWS;
  readonly memory = new MemoryMeter();
  readonly #worker: Worker;
  readonly #epoch: Int32Array;
  readonly #live = new Set<RemoteTensor>();
  readonly #tickets = new Map<number, Ticket>();
  readonly #stream = new SpecWriter();
  #commands: Command[] = [];
  #gathered = 0;
  #postsSoon = false;
  #transfers: ArrayBuffer[] = [];
  #nextId = 1;
  #nextTicket = 1;
  #dead: WinnowError | null = null;

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

  constructor(
    script: URL,
    private readonly holding: CpuHolding,
    own: unknown,
  ) {
    const epoch = new SharedArrayBuffer(4);
    this.#epoch = new Int32Array(epoch);
    // The process's own flags, such as --input-type, may be none that a worker takes.
    this.#worker = new Worker(script, { workerData: { epoch, own } satisfies WorkerSetup, execArgv: [] });
    this.#worker.on("message", (reply: Reply) => {
      this.#settle(reply);
    });
    this.#worker.on("error", (error) => {
      this.#die(new WinnowError("backend", `the CPU backend's thread failed: ${String(error)}`, { cause: error }));
    });
    this.#worker.on("exit", () => {
      this.#die(new WinnowError("backend", "the CPU backend's thread has ended; make a new backend"));
    });
    this.#worker.unref();
  }

  allocate(dtype: DType, shape: Shape, options: AllocationOptions): DeviceTensor {
    const tensor = this.#adopt(dtype, shape, options);
    this.#enqueue({ kind: "allocate", id: tensor.id, dtype, shape, label: options.label });
    return tensor;
  }

  upload(source: Tensor, options: AllocationOptions): DeviceTensor {
    const tensor = this.#adopt(this.holding.typeOf(source), source.shape, options);
    const { buffer, byteLength } = source.data;
    if (buffer instanceof ArrayBuffer && byteLength === buffer.byteLength) this.#transfers.push(buffer);
    this.#enqueue({ kind: "create", id: tensor.id, source, label: options.label });
    // A transferred buffer must leave this thread before anybody reads it here.
    this.#post();
    return tensor;
  }

  write(target: DeviceTensor, data: Words, offset = 0): void {
    const tensor = this.#own(target);
    if (offset < 0 || offset + data.length > plainElements("write", tensor)) {
      throw new WinnowError("range", `write: ${data.length} elements at ${offset} do not fit "${tensor.label}"`);
    }
    this.#enqueue({ kind: "write", id: tensor.id, data, offset });
  }

  clear(target: DeviceTensor): void {
    this.#enqueue({ kind: "clear", id: this.#own(target).id });
  }

  copy(source: Rows, target: Rows): void {
    const span = copySpan(source, target);
    this.#enqueue({ kind: "copy", id: this.#own(source.tensor).id, target: this.#own(target.tensor).id, ...span });
  }

  async downloadAll(sources: readonly DeviceTensor[]): Promise<(Float32Array | Uint32Array)[]> {
    return this.#downloadParts(sources.map((source) => this.#part(source)));
  }

  submit(): void {
    this.#post();
  }

  async download(source: DeviceTensor, start = 0, count?: number): Promise<Float32Array | Uint32Array> {
    const [data] = await this.#downloadParts([this.#part(source, start, count)]);
    if (data === undefined) throw new WinnowError("backend", `download: "${source.label}" came back empty`);
    return data;
  }

  async flush(): Promise<void> {
    await this.#ask((ticket) => ({ kind: "flush", ticket }));
  }

  interrupt(): void {
    this.#post();
    Atomics.add(this.#epoch, 0, 1);
  }

  [Symbol.dispose](): void {
    if (this.#dead !== null) return;
    for (const tensor of [...this.#live]) tensor[Symbol.dispose]();
    Atomics.add(this.#epoch, 0, 1);
    this.#die(new WinnowError("disposed", "the CPU backend was disposed"));
    void this.#worker.terminate();
  }

  #operation<Name extends OperationName>(name: Name): Operation<Name> {
    const idOf = (tensor: DeviceTensor): number => this.#own(tensor).id;
    return (spec) => {
      if (this.#dead !== null) return;
      try {
        this.#stream.operation(name, spec, idOf);
        this.#enqueued();
      } catch (error) {
        const { code, message } = operationError(name, error);
        this.#enqueue({ kind: "fail", error: { code, message } });
      }
    };
  }

  async #downloadParts(parts: readonly (Part & { readonly dtype: DType })[]): Promise<(Float32Array | Uint32Array)[]> {
    const packed = await this.#ask((ticket) => ({ kind: "download", ticket, parts }));
    return unpackParts(
      packed,
      parts.map(({ dtype, start, end }) => ({ dtype, count: end - start })),
    );
  }

  #part(source: DeviceTensor, start = 0, count?: number): Part & { readonly dtype: DType } {
    const tensor = this.#own(source);
    const elements = plainElements("download", tensor);
    const end = count === undefined ? elements : start + count;
    if (start < 0 || end > elements) {
      throw new WinnowError(
        "range",
        `download: elements ${start} to ${end} of "${tensor.label}", which has ${elements}`,
      );
    }
    return { id: tensor.id, dtype: tensor.dtype, start, end };
  }

  #own(tensor: DeviceTensor): RemoteTensor {
    if (!(tensor instanceof RemoteTensor)) {
      throw new WinnowError(
        "backend",
        `the tensor "${tensor.label}" belongs to another backend; upload it to this one`,
      );
    }
    if (tensor.disposed)
      throw new WinnowError("disposed", `the tensor "${tensor.label}" is used after it was disposed`);
    return tensor;
  }

  #adopt(dtype: DType, shape: Shape, { label, category }: AllocationOptions): RemoteTensor {
    const bytes = this.holding.bytesOf(dtype, shape);
    const released = this.memory.allocated(category, label, bytes);
    const tensor = new RemoteTensor(this.#nextId++, label, dtype, shape, bytes, (gone) => {
      this.#live.delete(gone);
      released();
      this.#enqueue({ kind: "dispose", id: gone.id });
    });
    this.#live.add(tensor);
    return tensor;
  }

  #enqueue(command: Command): void {
    if (this.#dead !== null) return;
    this.#add(command);
    this.#enqueued();
  }

  #add(command: Command): void {
    if (putCommand(this.#stream, command)) return;
    this.#stream.name(COMMAND);
    this.#stream.number(this.#commands.length);
    // The caller may change what is written as soon as he has control again.
    this.#commands.push(command.kind === "write" ? { ...command, data: command.data.slice() } : command);
  }

  #enqueued(): void {
    if (++this.#gathered >= MAX_BATCH) this.#post();
  }

  /** Together with what the caller enqueues before it awaits anything: each journey wakes the other thread. */
  #postSoon(): void {
    if (this.#postsSoon) return;
    this.#postsSoon = true;
    queueMicrotask(() => {
      this.#postsSoon = false;
      try {
        this.#post();
      } catch {
        // Whoever waits is told: the promise of what asked for it rejects.
      }
    });
  }

  #post(): void {
    if (this.#stream.isEmpty || this.#dead !== null) return;
    const { numbers, names } = this.#stream.take();
    const batch: Batch = { epoch: Atomics.load(this.#epoch, 0), numbers, names, commands: this.#commands };
    const transfers = this.#transfers;
    this.#commands = [];
    this.#transfers = [];
    this.#gathered = 0;
    try {
      this.#worker.postMessage(batch, transfers);
    } catch (cause) {
      // What was taken from the stream is lost, and the thread would misread what comes after it.
      const failure = new WinnowError("backend", `nothing can be sent to the CPU backend's thread: ${String(cause)}`, {
        cause,
      });
      this.#die(failure);
      throw failure;
    }
  }

  #ask(command: (ticket: number) => Command): Promise<Uint32Array> {
    if (this.#dead !== null) return Promise.reject(this.#dead);
    const ticket = this.#nextTicket++;
    this.#add(command(ticket));
    this.#postSoon();
    // Only somebody who waits for an answer keeps the process alive.
    if (this.#tickets.size === 0) this.#worker.ref();
    return new Promise((resolve, reject) => {
      this.#tickets.set(ticket, { resolve, reject });
    });
  }

  #settle(reply: Reply): void {
    const ticket = this.#tickets.get(reply.ticket);
    this.#tickets.delete(reply.ticket);
    if (this.#tickets.size === 0) this.#worker.unref();
    if ("error" in reply) ticket?.reject(new WinnowError(reply.error.code, reply.error.message));
    else ticket?.resolve(reply.packed);
  }

  #die(reason: WinnowError): void {
    this.#dead ??= reason;
    this.#worker.unref();
    for (const ticket of this.#tickets.values()) ticket.reject(this.#dead);
    this.#tickets.clear();
  }
}
