import type { GpuTrace } from "@winnow/gpu-backend";
import { idsPart, type Session } from "@winnow/runtime";

import { kernelMilliseconds, kernelShares } from "./kernel-shares";
import { tokenWork } from "./model-work";
import { ratesOf, significant, type TokenRow } from "./result";
import type { ShapeBench } from "./shape-bench";
import { median } from "./stopwatch";

/** Tokens before any are measured: the first of a session make what the others use. */
const WARM_TOKENS = 8;

/** The tokens of one answer. */
interface Answer {
  readonly milliseconds: readonly number[];
  readonly dispatches: number;
  readonly submissions: number;
  readonly hostMicroseconds: readonly number[];
  readonly pipelines: number;
  readonly bindGroups: number;
  readonly trace: GpuTrace | null;
}

/** Measure tokens that a session writes: on the wall's clock, then, where there are timestamps, kernel by kernel. */
export async function measureTokens(
  bench: ShapeBench,
  name: string,
  session: Session,
  tokens: number,
): Promise<TokenRow> {
  const context = session.sequence.tokens.length;
  const work = tokenWork(bench.model, session.sequence);
  const answer = await writeTokens(bench, session, tokens, false);
  const trace = bench.stopwatch.clock === "gpu" ? (await writeTokens(bench, session, tokens, true)).trace : null;
  const seconds = median(answer.milliseconds) / 1000;
  return {
    name,
    context,
    tokens,
    wallMilliseconds: significant(1000 * seconds),
    gpuMilliseconds: trace === null ? null : significant(kernelMilliseconds(trace) / tokens),
    dispatches: significant(answer.dispatches / tokens),
    submissions: significant(answer.submissions / tokens),
    cpuMicroseconds: significant(median(answer.hostMicroseconds)),
    pipelines: answer.pipelines,
    bindGroups: answer.bindGroups,
    kernels: trace === null ? [] : kernelShares(trace, tokens),
    ...work,
    ...ratesOf(work, seconds, bench.ceilings),
  };
}

async function writeTokens(
  { backend, hostClock, model }: ShapeBench,
  session: Session,
  tokens: number,
  traced: boolean,
): Promise<Answer> {
  const milliseconds: number[] = [];
  let drawn = 0;
  let before = { counts: backend.counts, enqueued: hostClock.tokens.length };
  let last = performance.now();
  let stop: (() => Promise<GpuTrace>) | null = null;
  let answer: Answer | null = null;
  // To its end: a session that is left in the middle would read everything anew.
  const options = { maxTokens: WARM_TOKENS + tokens + 1, ignoreEos: true, temperature: 0 };
  const events = session.generate([idsPart(model.tokenizer, [0])], options);
  for await (const { kind } of events) {
    if (kind !== "token") continue;
    drawn++;
    const now = performance.now();
    if (drawn > WARM_TOKENS) milliseconds.push(now - last);
    last = now;
    if (drawn === WARM_TOKENS) {
      before = { counts: backend.counts, enqueued: hostClock.tokens.length };
      if (traced) stop = backend.startTrace();
    }
    if (drawn !== WARM_TOKENS + tokens) continue;
    const { counts, enqueued } = before;
    const after = backend.counts;
    answer = {
      milliseconds: [...milliseconds],
      dispatches: after.dispatches - counts.dispatches,
      submissions: after.submissions - counts.submissions,
      hostMicroseconds: hostClock.tokens.slice(enqueued),
      pipelines: after.pipelines - counts.pipelines,
      bindGroups: after.bindGroups - counts.bindGroups,
      trace: stop === null ? null : await stop(),
    };
  }
  if (answer === null) throw new RangeError(`${drawn} tokens were written, expected ${WARM_TOKENS + tokens}`);
  return answer;
}
