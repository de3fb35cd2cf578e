import { text } from "node:stream/consumers";

import { peakBytes } from "../peak-memory";
import { jobSchema, type Job, type Measured, type Sample } from "./job";
import { ENGINES } from "./peer";

/** A peer in a process of its own, so that its memory is the process's: reads a job from standard input, prints a sample. */
async function main(): Promise<void> {
  const job = jobSchema.parse(JSON.parse(await text(process.stdin)));
  const measured = await measure(job);
  const { user, system } = process.cpuUsage();
  const sample: Sample = { ...measured, peakBytes: peakBytes(), cpuMs: (user + system) / 1000 };
  process.stdout.write(`${JSON.stringify(sample)}\n`);
}

// Each engine loads only itself.
async function measure(job: Job): Promise<Measured> {
  switch (ENGINES[job.peer].kind) {
    case "winnow":
      return (await import("./winnow-peer")).measureWinnow(job);
    case "llama.cpp":
      return (await import("./llama-peer")).measureLlama(job);
    case "transformers.js":
      return (await import("./transformers-peer")).measureTransformers(job);
  }
}

await main();
// Threads of engines would keep the process alive.
process.exit(0);
