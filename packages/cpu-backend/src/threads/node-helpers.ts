import { setFlagsFromString } from "node:v8";
import { Worker } from "node:worker_threads";

import type { HelperSetup } from "../simd-engine";
import { NODE_HELPER } from "./helper-program";

/** Start a helper, which keeps no process alive. Where threads are not allowed there is none. */
export function startNodeHelper(setup: HelperSetup): boolean {
  try {
    // The process's own flags, such as --input-type, may be none that a worker takes.
    const worker = new Worker(NODE_HELPER, { eval: true, workerData: setup, execArgv: [] });
    // One that could not start never joins a job, and the others do without it.
    worker.on("error", (error) => {
      process.emitWarning(`a thread of the CPU backend failed: ${String(error)}`, "WinnowWarning");
    });
    worker.unref();
    return true;
  } catch {
    return false;
  }
}

/**
 * Let this process compile WebAssembly with relaxed SIMD, where Node needs a flag for it. Backends are opened with it on.
 *
 * @returns whether its product of bytes may be used where a test finds it exact: before Node 22 V8's baseline compiler has it
 *   wrong for some registers, and its optimising one has it right. All other instructions are the standard's.
 */
export function allowRelaxedSimd(): boolean {
  const early = needsFlag(process.versions.node);
  if (early) setFlagsFromString("--experimental-wasm-relaxed-simd");
  return !early;
}

/** V8 has had relaxed SIMD without a flag since Node 22, and complains of one that it does not know. */
export function needsFlag(nodeVersion: string): boolean {
  const [major] = nodeVersion.split(".").map(Number);
  return major === 20 || major === 21;
}
