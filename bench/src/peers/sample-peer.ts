import { execFile } from "node:child_process";
import { availableParallelism, cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { STEPS, mostSeconds, type Cell } from "./cells";
import { sampleSchema, type Job, type Sample } from "./job";
import { MODELS, promptFor, type PeerFiles } from "./models";
import { ENGINES, isOnGpu, type Peer } from "./peer";

/** Cores that others may use while something is measured; with more, it is measured again. */
const QUIET_CORES = 0.25;
const ATTEMPTS = 2;
const run = promisify(execFile);

/** A sample, or why there is none. */
export type Outcome =
  | {
      readonly kind: "measured";
      readonly sample: Sample;
      /** Cores that other programs used meanwhile. */
      readonly otherCores: number;
    }
  | { readonly kind: "skipped"; readonly why: string };

/** Measure a cell in a process of its own; again, where other programs disturb it, and the least disturbed one counts. */
export async function samplePeer(cell: Cell, files: PeerFiles): Promise<Outcome> {
  const outcomes: Outcome[] = [];
  const [cores, ...fewer] = threadsOf(cell.peer);
  const seconds = mostSeconds(cell.model);
  outcomes.push(await sampleQuietly(jobOf(cell, files, cores), seconds));
  // Prompts are read fastest on all of them.
  for (const threads of fewer) {
    outcomes.push(await sampleQuietly(jobOf({ ...cell, start: "fill" }, files, threads), seconds));
  }
  return outcomes.reduce(faster);
}

/**
 * llama.cpp's threads wait for each other without sleeping, so that with one on each core the program's own, which draws the
 * tokens, holds them up: it may use one core fewer as well, and gets the better of both.
 */
function threadsOf(peer: Peer): readonly [number, ...number[]] {
  const cores = availableParallelism();
  return ENGINES[peer].kind === "llama.cpp" && !isOnGpu(peer) && cores > 1 ? [cores, cores - 1] : [cores];
}

/** What either was best at. */
export function faster(a: Outcome, b: Outcome): Outcome {
  if (a.kind === "skipped") return b;
  if (b.kind === "skipped") return a;
  const [best, other] = a.sample.stepMs <= b.sample.stepMs ? [a, b] : [b, a];
  const firsts = [best, other].flatMap(({ sample }) => sample.firstTokenMs ?? []);
  const firstTokenMs = firsts.length === 0 ? null : Math.min(...firsts);
  return { ...best, sample: { ...best.sample, firstTokenMs } };
}

async function sampleQuietly(job: Job, seconds: number): Promise<Outcome> {
  let best: Outcome | null = null;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const outcome = await sampleOnce(job, seconds);
    if (outcome.kind === "skipped") return best ?? outcome;
    if (best?.kind !== "measured" || outcome.otherCores < best.otherCores) best = outcome;
    if (outcome.otherCores <= QUIET_CORES) break;
  }
  return best ?? { kind: "skipped", why: "it was not tried" };
}

function jobOf({ peer, model, context, batch, start }: Cell, files: PeerFiles, threads: number): Job {
  const asked = MODELS[model];
  const { type, shape } = asked;
  const path = ENGINES[peer].kind === "transformers.js" ? files.onnx : files.gguf;
  if (path === null) throw new RangeError(`${peer} does not run ${model}, whose type ONNX has no product for`);
  return {
    peer,
    path,
    shape: { layers: shape.num_hidden_layers, kvHeads: shape.num_key_value_heads, headDim: shape.head_dim },
    precision: type === "q8_0" ? "q8" : "fp32",
    context,
    batch,
    start,
    prompt: promptFor(asked, context),
    steps: STEPS,
    threads,
  };
}

async function sampleOnce(job: Job, seconds: number): Promise<Outcome> {
  const probe = fileURLToPath(new URL("peer-probe.js", import.meta.url));
  const started = performance.now();
  const before = busyMs() - ownMs();
  try {
    const running = run(process.execPath, [probe], { maxBuffer: 2 ** 24, timeout: 1000 * seconds });
    // A process that ends before it has read everything says why on its own.
    running.child.stdin?.on("error", () => undefined);
    running.child.stdin?.end(JSON.stringify(job));
    const { stdout } = await running;
    const sample = sampleSchema.parse(JSON.parse(stdout.trim().split("\n").at(-1) ?? ""));
    const others = busyMs() - ownMs() - before - sample.cpuMs;
    return { kind: "measured", sample, otherCores: Math.max(0, others / (performance.now() - started)) };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    if ("killed" in error && error.killed === true) return { kind: "skipped", why: `it takes over ${seconds} s` };
    if (!("stderr" in error)) throw error;
    return { kind: "skipped", why: reasonIn(String(error.stderr)) ?? error.message };
  }
}

/** Of what a process has said before it ended: its error's line, behind the source that Node shows; else the last one. */
export function reasonIn(said: string): string | null {
  const lines = said.split("\n").filter((line) => line.trim() !== "");
  return lines.find((line) => /^\w*Error(?: \[\w+\])?: /.test(line)) ?? lines.at(-1) ?? null;
}

function ownMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** What all programs have computed since the machine started. */
function busyMs(): number {
  return cpus().reduce((sum, { times: { user, nice, sys, irq } }) => sum + user + nice + sys + irq, 0);
}
