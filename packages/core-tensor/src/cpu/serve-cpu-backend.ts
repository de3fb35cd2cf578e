import { parentPort, workerData } from "node:worker_threads";

import type { OperationName } from "../backend";
import type { DType } from "../dtype";
import { WinnowError } from "../errors";
import type { Shape } from "../shape";
import type { CpuEngine } from "./cpu-engine";
import type { CpuMemory } from "./cpu-memory";
import { CpuTensor } from "./cpu-tensor";
import { overwrite } from "./elements";
import { operationError } from "./operation-error";
import { packParts } from "./packed-parts";
import type { Poll } from "./poll";
import { takeCommand } from "./small-commands";
import { SpecReader } from "./spec-stream";
import { COMMAND, type Batch, type Command, type Reply, type WorkerSetup } from "./worker-protocol";

/**
 * Be the thread that computes for a `createCpuWorkerBackend`: hold the tensors, and run what the calling thread posts.
 *
 * @throws WinnowError `usage` outside such a thread.
 */
export function serveCpuBackend(makeEngine: (own: unknown) => CpuEngine): void {
  if (parentPort === null) throw new WinnowError("usage", "serveCpuBackend runs in a worker thread, and this is none");
  const setup = workerData as WorkerSetup;
  serve(parentPort, setup, makeEngine(setup.own));
}

function serve(port: NonNullable<typeof parentPort>, setup: WorkerSetup, engine: CpuEngine): void {
  const current = new Int32Array(setup.epoch);
  const tensors = new Map<number, CpuTensor>();
  const stream = new SpecReader();
  let failure: WinnowError | null = null;
  /** Of the batch that is being run. */
  let epoch = 0;

  const tensorOf = (id: number): CpuTensor => {
    const found = tensors.get(id);
    if (found === undefined) throw new WinnowError("disposed", `tensor ${id} is used after it was disposed`);
    return found;
  };
  const interrupted = (): boolean => epoch < Atomics.load(current, 0);
  const aborted = (): WinnowError => new WinnowError("aborted", "the computation was interrupted");
  const poll: Poll = () => {
    if (interrupted()) throw aborted();
  };
  const reply = (message: Reply): void => {
    // Copied, never transferred: once a thread has detached a buffer, V8 makes all its code look out for detached
    // ones at each access, and every kernel takes half as long again.
    port.postMessage(message);
  };
  const adopt = (id: number, label: string, dtype: DType, shape: Shape, memory: CpuMemory): void => {
    const bytes = engine.holding.bytesOf(dtype, shape);
    tensors.set(id, new CpuTensor(id, label, dtype, shape, bytes, memory, () => tensors.delete(id)));
  };
  const run = (word: string): void => {
    let name = word;
    try {
      const read = stream.operation(word, tensorOf, failure === null && !interrupted());
      if (read === null) return;
      ({ name } = read);
      if ("error" in read) throw read.error;
      // The other thread made the specification for an operation of this name, and only the tensors changed on the way.
      engine.operations[name as OperationName](read.spec as never, poll);
    } catch (error) {
      failure ??= operationError(name, error);
    }
  };
  /** The failure to report with a ticket, which settles it. */
  const takeFailure = (): WinnowError | null => {
    const found = interrupted() ? aborted() : failure;
    failure = null;
    return found;
  };

  const perform = (command: Command): void => {
    switch (command.kind) {
      case "create": {
        const { id, label, source } = command;
        adopt(id, label, engine.holding.typeOf(source), source.shape, engine.hold(source, label));
        return;
      }
      case "allocate": {
        const { id, label, dtype, shape } = command;
        adopt(id, label, dtype, shape, engine.allocate(dtype, shape, label));
        return;
      }
      case "dispose":
        tensors.get(command.id)?.[Symbol.dispose]();
        return;
      case "write":
        overwrite(tensorOf(command.id), command.data, command.offset);
        return;
      case "clear":
        tensorOf(command.id).data.fill(0);
        return;
      case "copy":
        tensorOf(command.target).data.set(
          tensorOf(command.id).data.subarray(command.from, command.from + command.count),
          command.to,
        );
        return;
      case "fail":
        failure ??= new WinnowError(command.error.code, command.error.message);
        return;
      case "download":
      case "flush": {
        const found = takeFailure();
        if (found !== null) {
          reply({ ticket: command.ticket, error: { code: found.code, message: found.message } });
          return;
        }
        const parts = command.kind === "flush" ? [] : command.parts;
        const packed = packParts(
          parts.map(({ id, start, end }) => {
            const { dtype, data } = tensorOf(id);
            return { dtype, data: data.subarray(start, end) };
          }),
        );
        reply({ ticket: command.ticket, packed });
      }
    }
  };

  port.on("message", (batch: Batch) => {
    const { commands } = batch;
    // What went wrong before an interruption was dropped with everything else of its time.
    if (batch.epoch !== epoch) failure = null;
    ({ epoch } = batch);
    stream.open(batch);
    while (!stream.isAtEnd) {
      const word = stream.name();
      const command = word === COMMAND ? commands[stream.number()] : takeCommand(word, stream);
      if (command === undefined || command === null) {
        run(word);
        continue;
      }
      try {
        perform(command);
      } catch (error) {
        const found = operationError(command.kind, error);
        if ("ticket" in command) {
          reply({ ticket: command.ticket, error: { code: found.code, message: found.message } });
        } else failure ??= found;
      }
    }
  });
}
