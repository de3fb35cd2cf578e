import type { GpuTrace } from "@winnow/gpu-backend";
import { idsPart, type Session } from "@winnow/runtime";

import { kernelMilliseconds, kernelShares } from "./kernel-shares";
import { promptWork } from "./model-work";
import { ratesOf, significant, type PromptRow } from "./result";
import type { ShapeBench } from "./shape-bench";
import { median } from "./stopwatch";

/** Ids are taken from so many, in an order without a pattern. */
const DIFFERENT_IDS = 1000;
const STRIDE = 7919;

/** The kernels of a prompt's attention, and the one that fills the mass table beside it. */
const ATTENTION_KERNELS: readonly string[] = ["attend.split", "attend.tile", "attend.merge"];
const MASS_TABLE_KERNEL = "attend.record";

/**
 * Measure how a policy reads a prompt: on the wall's clock, then, where there are timestamps, kernel by kernel.
 *
 * @param open makes a session of the policy, which this disposes.
 */
export async function measurePrompt(
  bench: ShapeBench,
  name: string,
  tokens: number,
  readings: number,
  open: () => Session,
): Promise<PromptRow> {
  const { model, backend, stopwatch } = bench;
  // The first prompt compiles pipelines.
  {
    using session = open();
    await readPrompt(bench, session, tokens);
  }
  const seconds: number[] = [];
  let work = { bytes: 0, flops: 0 };
  let dispatches = 0;
  for (let reading = 0; reading < readings; reading++) {
    using session = open();
    const before = backend.counts.dispatches;
    const started = performance.now();
    await readPrompt(bench, session, tokens);
    seconds.push((performance.now() - started) / 1000);
    dispatches = backend.counts.dispatches - before;
    work = promptWork(model, session.sequence);
  }
  const trace = stopwatch.clock === "gpu" ? await tracePrompt(bench, tokens, open) : null;
  const wall = median(seconds);
  return {
    name,
    tokens,
    readings,
    wallMilliseconds: significant(1000 * wall),
    gpuMilliseconds: trace === null ? null : significant(kernelMilliseconds(trace)),
    tokensPerSecond: significant(tokens / wall),
    dispatches,
    massTableOfAttention: trace === null ? null : massTableOfAttention(trace),
    kernels: trace === null ? [] : kernelShares(trace, 1),
    ...work,
    ...ratesOf(work, wall, bench.ceilings),
  };
}

/** Read a prompt of so many tokens. */
export async function readPrompt({ model }: ShapeBench, session: Session, tokens: number): Promise<void> {
  const different = Math.min(model.config.vocabulary, DIFFERENT_IDS);
  const ids = Array.from({ length: tokens }, (_, i) => (i * STRIDE) % different);
  await session.read([idsPart(model.tokenizer, ids)]);
}

async function tracePrompt(bench: ShapeBench, tokens: number, open: () => Session): Promise<GpuTrace> {
  using session = open();
  const stop = bench.backend.startTrace();
  await readPrompt(bench, session, tokens);
  return await stop();
}

/** The time of the mass table as a share of attention's own; 0 where no table was filled. */
function massTableOfAttention(trace: GpuTrace): number {
  let attention = 0;
  let table = 0;
  for (const { label, total } of trace.totals()) {
    if (ATTENTION_KERNELS.includes(label)) attention += total;
    if (label === MASS_TABLE_KERNEL) table += total;
  }
  return significant(table / attention);
}
