import { createWebGpuBackend, requestGpu, type RecorderCounts, type WebGpuBackend } from "@winnow/gpu-backend";
import { directoryFiles, idsPart, loadModel, type Model, type Session } from "@winnow/runtime";

import type { BenchmarkOptions } from "../arguments";
import { HostClock } from "../gpu/host-clock";
import { randomModelFiles } from "../gpu/random-model";
import { median } from "../gpu/stopwatch";
import { goldenPrompt } from "../golden-prompt";
import { thisMachine } from "../machine";
import { tell } from "../progress";
import { repositoryRoot } from "../repository";
import { buffersMade } from "./buffers-made";
import { CommandTape } from "./command-tape";
import { formatDecode, type DecodeResult, type DecodeRow } from "./decode-result";
import { NARROW } from "./narrow-shape";

const PROMPT_TOKENS = 140;
/** Tokens of an answer before any are measured: the first make what the others use. Behind the prompt no slab ends then. */
const WARM_TOKENS = 24;
const TOKENS = 64;
/** Repetitions of what one token dispatches. */
const REPLAYS = 32;

interface Case {
  readonly name: string;
  readonly policy: string;
  /** Answers that are written at the same time. */
  readonly answers: number;
}

const CASES: readonly Case[] = [
  { name: "full", policy: "full", answers: 1 },
  { name: "heavy-hitter", policy: "heavy-hitter", answers: 1 },
  { name: "full, 4 answers", policy: "full", answers: 4 },
];

/** A model on a device that is watched. */
interface Watched {
  readonly model: Model;
  readonly backend: WebGpuBackend;
  readonly clock: HostClock;
  readonly tape: CommandTape;
  readonly buffers: () => number;
}

/** Measure what a token takes the host on WebGPU, in a model where that is most of it, and print it. */
export async function runDecodeBenchmark({ json }: BenchmarkOptions): Promise<void> {
  const clock = new HostClock();
  // The model disposes it too, once there is one.
  using backend = clock.watch(createWebGpuBackend(await requestGpu({ allowSoftware: true })));
  const { device, adapter } = backend.gpu;
  const tape = new CommandTape(device);
  const buffers = buffersMade(device);
  tell(`${adapter.name}: loading`);
  using model = await loadModel(randomModelFiles("narrow", NARROW, directoryFiles(`${repositoryRoot()}/models/demo`)), {
    backend,
  });
  const rows: DecodeRow[] = [];
  for (const of of CASES) {
    tell(of.name);
    rows.push(await measureCase({ model, backend, clock, tape, buffers }, of));
  }
  const result: DecodeResult = {
    machine: thisMachine(),
    adapter: { name: adapter.name, software: adapter.software },
    model: { layers: NARROW.num_hidden_layers, width: NARROW.hidden_size, prompt: PROMPT_TOKENS, tokens: TOKENS },
    rows,
  };
  process.stdout.write(json ? `${JSON.stringify(result, null, 1)}\n` : formatDecode(result));
}

async function measureCase(watched: Watched, { name, policy, answers }: Case): Promise<DecodeRow> {
  const { model, backend, clock, tape, buffers } = watched;
  const prompt = idsPart(model.tokenizer, goldenPrompt(PROMPT_TOKENS));
  const sessions: Session[] = [];
  try {
    for (let i = 0; i < answers; i++) {
      const session = model.createSession({ policy });
      sessions.push(session);
      await session.read([prompt]);
    }
    interface Moment extends RecorderCounts {
      readonly enqueued: number;
      readonly buffers: number;
      readonly at: number;
    }
    const now = (): Moment => ({
      ...backend.counts,
      enqueued: clock.tokens.length,
      buffers: buffers(),
      at: performance.now(),
    });
    let [first, last] = [now(), now()];
    const replays: number[] = [];
    const options = { ignoreEos: true, temperature: 0 };
    // The last to begin is measured, and ends first.
    const write = async (session: Session, measured: boolean): Promise<void> => {
      let drawn = 0;
      const maxTokens = (measured ? 1 : 2) * (WARM_TOKENS + TOKENS) + 2;
      for await (const { kind } of session.generate([idsPart(model.tokenizer, [1])], { ...options, maxTokens })) {
        if (kind !== "token" || !measured) continue;
        drawn++;
        if (drawn === WARM_TOKENS) first = now();
        if (drawn === WARM_TOKENS + TOKENS) last = now();
        // The token that is enqueued next is kept, and told again while its buffers live.
        if (drawn === WARM_TOKENS + TOKENS) tape.start();
        if (drawn === WARM_TOKENS + TOKENS + 1) replays.push(...(await replayed(tape, backend)));
      }
    };
    await Promise.all(sessions.map((session, i) => write(session, i === answers - 1)));
    const hostMicroseconds = median(clock.tokens.slice(first.enqueued, last.enqueued));
    const dispatches = (last.dispatches - first.dispatches) / TOKENS;
    return {
      name,
      hostMicroseconds: round(hostMicroseconds),
      dispatches: round(dispatches),
      microsecondsPerDispatch: round(hostMicroseconds / dispatches, 2),
      replayMicroseconds: round(median(replays)),
      wallMilliseconds: round((last.at - first.at) / TOKENS, 2),
      submissions: round((last.submissions - first.submissions) / TOKENS, 2),
      pipelines: last.pipelines - first.pipelines,
      bindGroups: last.bindGroups - first.bindGroups,
      buffers: last.buffers - first.buffers,
    };
  } finally {
    for (const session of sessions) session[Symbol.dispose]();
  }
}

/** Microseconds of each repetition. */
async function replayed(tape: CommandTape, { gpu }: WebGpuBackend): Promise<number[]> {
  tape.stop();
  const times: number[] = [];
  for (let i = 0; i < REPLAYS; i++) {
    times.push(tape.replay());
    await gpu.device.queue.onSubmittedWorkDone();
  }
  return times;
}

function round(value: number, digits = 1): number {
  return Number(value.toFixed(digits));
}
