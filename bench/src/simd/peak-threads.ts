import { Worker } from "node:worker_threads";

import { WinnowError } from "@winnow/core-tensor";

/** What `kernels/peak.c` multiplies, and products of one of its steps: 8 vectors of them. */
export const PEAKS = { floats: 8 * 4, half_words: 8 * 8, bytes: 8 * 16 } as const;
export type PeakName = keyof typeof PEAKS;

/** Steps that a thread runs at a time, some tens of milliseconds. */
const STEPS = 5e6;
/** Longer than threads take to start, so that all compute together. */
const SECONDS = 1;

/** What a thread runs, as text, so that no bundler has to find another file: steps a second. */
const RUN = `
const { workerData: { bytes, name, steps, seconds }, parentPort } = require("node:worker_threads");
const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes));
new Float32Array(exports.memory.buffer, exports.operands(), exports.operand_bytes() / 4).fill(0.5);
new Float32Array(exports.memory.buffer, exports.row_operands(), exports.row_bytes() / 4).fill(0.25);
const run = exports[name];
const end = performance.now() + 1000 * seconds;
let most = 0;
while (performance.now() < end) {
  const started = performance.now();
  run(steps);
  most = Math.max(most, (1000 * steps) / (performance.now() - started));
}
parentPort.postMessage(most);`;

/**
 * Products a second of so many threads together, each at its best.
 *
 * @throws WinnowError `backend` where a thread fails, such as where the runtime has no relaxed SIMD.
 */
export async function peakOf(bytes: Uint8Array, name: PeakName, threads: number): Promise<number> {
  const runs = Array.from({ length: threads }, async () => {
    const worker = new Worker(RUN, { eval: true, workerData: { bytes, name, steps: STEPS, seconds: SECONDS } });
    try {
      return await new Promise<number>((resolve, reject) => {
        worker.on("message", resolve);
        worker.on("error", (cause) => {
          reject(new WinnowError("backend", `the peak of ${name} cannot be measured here`, { cause }));
        });
      });
    } finally {
      await worker.terminate();
    }
  });
  const steps = await Promise.all(runs);
  return steps.reduce((sum, each) => sum + each, 0) * PEAKS[name];
}
