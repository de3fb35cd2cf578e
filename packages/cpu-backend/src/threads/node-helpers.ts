import { setFlagsFromString } from "node:v8";
import { Worker } from "node:worker_threads";

import type { HelperSetup } from "../simd-engine";
import { NODE_HELPER } from "./helper-program";

/** Start a helper, which keeps no process alive. */
export function startNodeHelper(setup: HelperSetup): void {
  // The process's own flags, such as --input-type, may be none that a worker takes.
  const worker = new Worker(NODE_HELPER, { eval: true, workerData: setup, execArgv: [] });
  worker.unref();
}

/** Node 20 has relaxed SIMD, whose instructions are the standard's, behind a flag; later ones have it anyway. */
export function allowRelaxedSimd(): void {
  setFlagsFromString("--experimental-wasm-relaxed-simd");
}
