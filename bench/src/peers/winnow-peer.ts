import { idsPart, loadModel, openBackend, type Model, type Session } from "@winnow/runtime";

import { fillCache } from "../gpu/filled-cache";
import { median } from "../gpu/stopwatch";
import { contextOf, roomFor, type Job, type Measured } from "./job";
import { ENGINES } from "./peer";
import { StepClock } from "./step-clock";
import { WARM_PROMPT, warmTokens, warmUp } from "./warm-up";

const WRITING = { ignoreEos: true, temperature: 0 } as const;

/** Measure Winnow. */
export async function measureWinnow(job: Job): Promise<Measured> {
  const engine = ENGINES[job.peer];
  if (engine.kind !== "winnow") throw new RangeError(`${job.peer} is not run by Winnow`);
  const { policy, backend: name, share } = engine;
  const backend = await openBackend(name, { threads: job.threads });
  const room = roomFor(job);
  using model = await loadModel(job.path, { backend, context: contextOf(job) });
  await warmUp(() => warm(model, policy, job));
  const open = (): Session => model.createSession({ policy });
  const sessions = Array.from({ length: job.batch }, open);
  if (job.start === "fill") for (const session of sessions) await fill(model, session, job, share);
  const clock = new StepClock(job.batch, job.steps);
  const started = performance.now();
  let firstTokenMs: number | null = null;
  let kept = NaN;
  const parts = job.start === "read" ? [idsPart(model.tokenizer, job.prompt)] : [];
  await Promise.all(
    sessions.map(async (session) => {
      for await (const { kind } of session.generate(parts, { ...WRITING, maxTokens: room })) {
        if (kind !== "token") continue;
        firstTokenMs ??= performance.now() - started;
        if (Number.isNaN(kept)) kept = keptShare(session);
        clock.note();
        if (clock.done) break;
      }
    }),
  );
  return {
    loadMs: model.loadMs,
    firstTokenMs: job.start === "read" ? firstTokenMs : null,
    stepMs: median(clock.times),
    steps: clock.times.length,
    deviceBytes: name === "webgpu" ? backend.memory.snapshot().peak : null,
    kept,
  };
}

async function warm(model: Model, policy: string, { prompt, batch }: Job): Promise<void> {
  const part = idsPart(model.tokenizer, prompt.slice(0, WARM_PROMPT));
  const answer = async (): Promise<void> => {
    using session = model.createSession({ policy });
    for await (const _ of session.generate([part], { ...WRITING, maxTokens: warmTokens(batch) }));
  };
  await Promise.all(Array.from({ length: batch }, answer));
}

async function fill(model: Model, session: Session, { prompt, context }: Job, share: number): Promise<void> {
  await session.read([idsPart(model.tokenizer, prompt.slice(0, 1))]);
  await fillCache(session.sequence, Math.ceil(share * context), context);
}

function keptShare({ sequence }: Session): number {
  const lengths = sequence.layers.flatMap(({ lengths: heads }) => heads);
  return lengths.reduce((sum, length) => sum + length, 0) / (lengths.length * sequence.tokens.length);
}
