import { createCpuBackend } from "@winnow/core-tensor";
import { createCpuWorkerBackend } from "@winnow/core-tensor/worker";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { failureOf } from "../files/testing/failure";
import { loadModel, type Model } from "../model";
import { idsPart, textPart } from "../prompt/parts";
import type { GenerateOptions, Session } from "../session/session";
import type { SessionOptions } from "../session/session-options";
import { DEMO, TINY } from "../testing/models";
import type { GenerationEvent } from "./decode";
import type { GenerationReport } from "./report";

const TEXT =
  "Mira keeps the red key in the barn. Tom is 31 years old. The weather in Arlen was sunny that day, and so was Mira.";

interface Run {
  readonly events: readonly GenerationEvent[];
  readonly report: GenerationReport;
}

let demo: Model;
let tiny: Model;

beforeAll(async () => {
  [demo, tiny] = await Promise.all([loadModel(DEMO), loadModel(TINY)]);
});

afterAll(() => {
  demo[Symbol.dispose]();
  tiny[Symbol.dispose]();
});

async function runOn(session: Session, ids: readonly number[], options: GenerateOptions): Promise<Run> {
  const generation = session.generate([{ ids, probe: null }], options);
  const events: GenerationEvent[] = [];
  for await (const event of generation) events.push(event);
  return { events, report: await generation.report() };
}

async function run(
  model: Model,
  ids: readonly number[],
  options: GenerateOptions,
  settings: SessionOptions = { policy: "full" },
): Promise<Run> {
  using session = model.createSession(settings);
  return await runOn(session, ids, options);
}

const ids = (model: Model, text = TEXT): number[] => model.tokenizer.encode(text);

/** A question behind the demo model's template, which the model answers and ends. */
const QUESTION = "<s><|user|>The key is in the cave.\n\nWhere is the key?<|end|><|assistant|>";

function question(): number[] {
  return demo.tokenizer.encode(QUESTION, { addSpecial: false });
}

describe("an end-of-text token", () => {
  it("ends the answer, is one of its tokens and none of its text", async () => {
    const { events, report } = await run(demo, question(), { temperature: 0 });
    expect(report.finishReason).toBe("stop");
    expect(demo.eosIds.has(report.tokens.at(-1) ?? NaN)).toBe(true);
    expect(report.tokens.slice(0, -1).some((id) => demo.eosIds.has(id))).toBe(false);
    expect(report.text).toBe(demo.tokenizer.decode(report.tokens.slice(0, -1)));
    expect(events.at(-1)).toMatchObject({ kind: "token", text: "" });
  });

  it("is passed over with ignoreEos", async () => {
    const { report: ended } = await run(demo, question(), { temperature: 0 });
    const count = ended.tokens.length + 9;
    const { report } = await run(demo, question(), { temperature: 0, ignoreEos: true, maxTokens: count });
    expect(report.finishReason).toBe("length");
    expect(report.tokens).toHaveLength(count);
    expect(report.tokens.slice(0, ended.tokens.length)).toEqual(ended.tokens);
    expect(report.text.startsWith(ended.text)).toBe(true);
  });
});

describe("a limit", () => {
  it("of so many tokens is kept exactly, and a longer answer begins with a shorter one", async () => {
    const { report: long } = await run(demo, ids(demo), { maxTokens: 20, ignoreEos: true, temperature: 0 });
    for (const maxTokens of [1, 2, 3, 19]) {
      const { report } = await run(demo, ids(demo), { maxTokens, ignoreEos: true, temperature: 0 });
      expect(report.tokens).toEqual(long.tokens.slice(0, maxTokens));
      expect(report.finishReason).toBe("length");
      expect(report.timings.tokenMs === null).toBe(maxTokens === 1);
    }
  });

  it.each([0, -1, NaN, 2.5])("of %d tokens is refused before anything is read", async (maxTokens) => {
    using session = tiny.createSession({ policy: "full" });
    const error = await failureOf(() => runOn(session, ids(tiny), { maxTokens }));
    expect(error).toMatchObject({
      code: "usage",
      message: `maxTokens is ${maxTokens}; expected a whole number of at least 1`,
    });
    expect(session.tokens).toEqual([]);
    expect(session.sequence.tokens).toEqual([]);
  });

  it("is the model's context where none is given", async () => {
    const { context } = tiny.config;
    for (const [prompt, room] of [
      [context - 5, 5],
      [context - 1, 1],
      [context, 0],
    ] as const) {
      const filled = new Array<number>(prompt).fill(40);
      const { report } = await run(tiny, filled, { ignoreEos: true });
      expect(report.tokens).toHaveLength(room);
      expect(report.finishReason).toBe("length");
    }
    const error = await failureOf(() => run(tiny, new Array<number>(context + 1).fill(40), {}));
    expect(error.code).toBe("context");
    expect(error.message).toContain(`${context + 1} tokens`);
  });

  it("leaves the session's tokens as what was read and drawn", async () => {
    using session = demo.createSession({ policy: "full" });
    const { report } = await runOn(session, ids(demo), { maxTokens: 6, ignoreEos: true });
    expect(session.tokens).toEqual([...ids(demo), ...report.tokens]);
    expect(session.sequence.tokens).toEqual(session.tokens.slice(0, -1));
  });
});

describe("what is emitted", () => {
  const joined = (events: readonly GenerationEvent[]): string => events.map(({ text }) => text).join("");
  const drawn = (events: readonly GenerationEvent[]): number[] =>
    events.flatMap((event) => (event.kind === "token" ? [event.id] : []));

  it("adds up to the report, whatever is drawn", async () => {
    for (let seed = 0; seed < 12; seed++) {
      const { events, report } = await run(tiny, ids(tiny), {
        maxTokens: 60,
        ignoreEos: true,
        temperature: 2,
        topK: 0,
        topP: 1,
        seed,
      });
      expect(joined(events)).toBe(report.text);
      expect(drawn(events)).toEqual(report.tokens);
      expect(report.text).toBe(tiny.tokenizer.decode(report.tokens));
      expect(report.promptTokens).toBe(ids(tiny).length);
    }
  });

  it("ends before a stop string, wherever in the answer that is", async () => {
    const options = { maxTokens: 24, ignoreEos: true, temperature: 0 };
    const { report: whole } = await run(demo, ids(demo), options);
    for (let at = 0; at + 7 <= whole.text.length; at += 5) {
      const stop = whole.text.slice(at, at + 7);
      const { events, report } = await run(demo, ids(demo), { ...options, stop: ["no such text", stop] });
      expect(report.text).toBe(whole.text.slice(0, whole.text.indexOf(stop)));
      expect(joined(events)).toBe(report.text);
      expect(drawn(events)).toEqual(report.tokens);
      expect(report.tokens).toEqual(whole.tokens.slice(0, report.tokens.length));
      expect(demo.tokenizer.decode(report.tokens)).toContain(stop);
      expect(report.finishReason).toBe("stop");
    }
  });

  it("comes late where it could have become a stop string, and comes whole", async () => {
    const options = { maxTokens: 12, ignoreEos: true, temperature: 0 };
    const { report: whole } = await run(demo, ids(demo), options);
    const { events, report } = await run(demo, ids(demo), { ...options, stop: [`${whole.text}\u0000`] });
    expect(events.at(-1)).toEqual({ kind: "rest", text: whole.text });
    expect(report).toMatchObject({ text: whole.text, tokens: whole.tokens, finishReason: "length" });
  });
});

describe("a generation", () => {
  it("is run once: by its iterator, its report, or both one after the other", async () => {
    using session = tiny.createSession({ policy: "full" });
    const generation = session.generate([idsPart(tiny.tokenizer, ids(tiny))], { maxTokens: 5, ignoreEos: true });
    const first = await generation[Symbol.asyncIterator]().next();
    const report = await generation.report();
    expect(report.tokens).toHaveLength(5);
    expect(first.value).toMatchObject({ id: report.tokens[0] });
    expect(await generation.report()).toBe(report);
  });

  it("that is left early lets the session go on from what was drawn", async () => {
    using session = tiny.createSession({ policy: "full" });
    const generation = session.generate([idsPart(tiny.tokenizer, ids(tiny))], { maxTokens: 9, temperature: 0 });
    for await (const event of generation) {
      expect(event.kind).toBe("token");
      break;
    }
    await expect(generation.report()).rejects.toMatchObject({ code: "usage" });
    expect(session.tokens).toHaveLength(ids(tiny).length + 1);
    const whole = [...session.tokens, 40];
    const { report } = await runOn(session, [40], { maxTokens: 6, ignoreEos: true, temperature: 0 });
    const { report: fresh } = await run(tiny, whole, { maxTokens: 6, ignoreEos: true, temperature: 0 });
    expect(report.tokens).toEqual(fresh.tokens);
  });

  it("has its session to itself", async () => {
    using session = tiny.createSession({ policy: "full" });
    const generation = session.generate([idsPart(tiny.tokenizer, ids(tiny))], { maxTokens: 4, ignoreEos: true });
    await generation[Symbol.asyncIterator]().next();
    expect(await failureOf(() => runOn(session, [40], {}))).toMatchObject({ code: "usage" });
    expect(await failureOf(() => session.read([{ ids: [40], probe: null }]))).toMatchObject({ code: "usage" });
    expect((await generation.report()).tokens).toHaveLength(4);
  });

  it("that fails in the caller's own function leaves the session as it was before", async () => {
    using session = tiny.createSession({ policy: "full" });
    const onPromptRead = (): void => {
      throw new Error("not now");
    };
    await expect(runOn(session, ids(tiny), { onPromptRead })).rejects.toThrow("not now");
    expect(session.tokens).toEqual([]);
    const { report } = await runOn(session, [40], { maxTokens: 6, ignoreEos: true, temperature: 0 });
    const { report: fresh } = await run(tiny, [40], { maxTokens: 6, ignoreEos: true, temperature: 0 });
    expect(report.tokens).toEqual(fresh.tokens);
  });
});

describe.each([
  { where: "in the calling thread", makeBackend: createCpuBackend },
  { where: "in a thread of its own", makeBackend: createCpuWorkerBackend },
])("an abort, the model $where", ({ makeBackend }) => {
  const GREEDY = { maxTokens: 6, ignoreEos: true, temperature: 0 };
  let model: Model;
  let session: Session;

  beforeAll(async () => {
    model = await loadModel(DEMO, { backend: makeBackend() });
  });

  afterAll(() => {
    model[Symbol.dispose]();
  });

  /** What follows has to be what a session that was never interrupted says after the same tokens. */
  async function expectUsable(): Promise<void> {
    const whole = [...session.tokens, ...ids(model, " Where is the key?")];
    const { report } = await runOn(session, whole.slice(session.tokens.length), GREEDY);
    const { report: fresh } = await run(model, whole, GREEDY);
    expect(report.tokens).toEqual(fresh.tokens);
    expect(report.kv.slots).toEqual(fresh.kv.slots);
    expect(report.kv.bytes).toBe(fresh.kv.bytes);
    session[Symbol.dispose]();
    expect(model.engine.store.livePages).toBe(0);
  }

  it("before the beginning: nothing is read", async () => {
    session = model.createSession({ policy: "full" });
    const { events, report } = await runOn(session, ids(model), { ...GREEDY, signal: AbortSignal.abort() });
    expect(events).toEqual([]);
    expect(report).toMatchObject({ text: "", tokens: [], finishReason: "abort" });
    expect(session.tokens).toEqual([]);
    await expectUsable();
  });

  it.each([1, 3])("while the prompt is read, in layer %d: nothing of it counts as read", async (layer) => {
    session = model.createSession({ policy: "full" });
    await runOn(session, ids(model), GREEDY);
    const before = [...session.tokens];
    const abort = new AbortController();
    const { events, report } = await runOn(session, ids(model, " Tom went home."), {
      ...GREEDY,
      signal: abort.signal,
      onProgress: (done) => {
        if (done === layer) abort.abort();
      },
    });
    expect(events).toEqual([]);
    expect(report).toMatchObject({ text: "", tokens: [], finishReason: "abort" });
    expect(session.tokens).toEqual(before);
    await expectUsable();
  });

  it("in the second part of a prompt: neither stays", async () => {
    session = model.createSession({ policy: "full" });
    const abort = new AbortController();
    let units = 0;
    const generation = session.generate(
      [textPart(model.tokenizer, TEXT, true), textPart(model.tokenizer, " Tom went home.", false)],
      {
        ...GREEDY,
        signal: abort.signal,
        onProgress: () => {
          if (++units === model.config.layers + 1) abort.abort();
        },
      },
    );
    expect((await generation.report()).finishReason).toBe("abort");
    expect(session.tokens).toEqual([]);
    await expectUsable();
  });

  it.each([1, 3])("after %d tokens: what was drawn stays", async (count) => {
    session = model.createSession({ policy: "full" });
    const abort = new AbortController();
    const generation = session.generate([textPart(model.tokenizer, TEXT, true)], {
      ignoreEos: true,
      temperature: 0,
      signal: abort.signal,
    });
    const events: GenerationEvent[] = [];
    for await (const event of generation) {
      events.push(event);
      if (events.length === count) abort.abort();
    }
    const report = await generation.report();
    expect(report.finishReason).toBe("abort");
    expect(report.tokens).toHaveLength(count);
    expect(report.tokens).toEqual(events.map((event) => (event.kind === "token" ? event.id : null)));
    expect(report.text).toBe(events.map(({ text }) => text).join(""));
    expect(session.tokens).toEqual([...ids(model), ...report.tokens]);
    await expectUsable();
  });

  it("after the end: nothing happens", async () => {
    session = model.createSession({ policy: "full" });
    const abort = new AbortController();
    const { report } = await runOn(session, ids(model), { ...GREEDY, signal: abort.signal });
    abort.abort();
    expect(report.finishReason).toBe("length");
    await expectUsable();
  });
});

it.each([
  { where: "in the calling thread", makeBackend: createCpuBackend },
  { where: "in a thread of its own", makeBackend: createCpuWorkerBackend },
])("an abort from a timer stops a model $where", async ({ makeBackend }) => {
  using model = await loadModel(DEMO, { backend: makeBackend() });
  using session = model.createSession({ policy: "full" });
  const abort = new AbortController();
  const onPromptRead = (): void => {
    setImmediate(() => {
      abort.abort();
    });
  };
  const { events, report } = await runOn(session, ids(model), { ignoreEos: true, signal: abort.signal, onPromptRead });
  expect(report.finishReason).toBe("abort");
  expect(report.tokens).toHaveLength(events.length);
  expect(session.tokens).toEqual([...ids(model), ...report.tokens]);
});

describe("the report's figures for the cache", () => {
  const PAGE = 16;
  const pages = (slots: number): number => Math.ceil(slots / PAGE);
  const total = (cells: readonly (readonly number[])[]): number => cells.flat().reduce((sum, cell) => sum + cell, 0);

  const POLICIES: readonly SessionOptions[] = [
    { policy: "full" },
    { policy: "sink(4) | recent(8)", interval: 1 },
    { policy: "fastgen", interval: 3 },
    { policy: "adaptive" },
    { policy: "heavy-hitter", interval: 1 },
    { policy: "none", interval: 1 },
  ];

  it.each(POLICIES)("agree with each other and with what is allocated: $policy", async (settings) => {
    for (const model of [demo, tiny]) {
      using session = model.createSession(settings);
      const prompt = ids(model);
      const { layers, kvHeads, headDim } = model.config;
      const { report } = await runOn(session, prompt, { maxTokens: 12, ignoreEos: true, temperature: 0 });
      const { kv, memory } = report;
      const read = prompt.length + report.tokens.length - 1;
      const pageBytes = 2 * PAGE * headDim * 4;
      expect(kv.fullBytes).toBe(layers * kvHeads * pages(read) * pageBytes);
      for (const perHead of [kv.kept, kv.slots, kv.plan, kv.recovery]) {
        expect(perHead.map((heads) => heads.length)).toEqual(new Array<number>(layers).fill(kvHeads));
      }
      const columns = session.sequence.layers.map((layer, l) =>
        layer.lengths.map((_, head) => pages(kv.slots[l]?.[head] ?? NaN) * layer.columnsOf(head).length),
      );
      expect(kv.bytes).toBe(total(kv.slots.map((heads) => heads.map(pages))) * pageBytes + total(columns) * PAGE * 4);
      expect(Math.max(...kv.kept.flat())).toBeLessThanOrEqual(prompt.length);
      kv.slots.forEach((heads, l) => {
        heads.forEach((slots, head) => {
          expect(slots).toBeLessThanOrEqual((kv.kept[l]?.[head] ?? NaN) + report.tokens.length - 1);
        });
      });
      expect(kv.peakBytes).toBeGreaterThanOrEqual(2 * kvHeads * prompt.length * headDim * 4);
      expect(memory.kv).toBeGreaterThanOrEqual(kv.bytes);
      expect(memory.total).toBe(memory.weights + memory.kv + memory.activations);
      expect(memory.peak).toBeGreaterThanOrEqual(memory.total);
    }
  });

  it("are those that can be counted by hand", async () => {
    const options = { maxTokens: 10, ignoreEos: true, temperature: 0 };
    const prompt = ids(demo);
    const every = (count: number): number[][] => new Array<number[]>(4).fill(new Array<number>(4).fill(count));
    const { kv: full } = (await run(demo, prompt, options)).report;
    expect(full).toMatchObject({ kept: every(prompt.length), slots: every(prompt.length + 9), bytes: full.fullBytes });
    const swept = (await run(demo, prompt, options, { policy: "sink(4) | recent(8)", interval: 1 })).report.kv;
    expect(swept).toMatchObject({ kept: every(12), slots: every(12) });
    const seldom = (await run(demo, prompt, options, { policy: "sink(4) | recent(8)", interval: 4 })).report.kv;
    expect(seldom).toMatchObject({ kept: every(12), slots: every(12 + (9 % 4)) });
    const never = (await run(demo, prompt, options, { policy: "sink(4) | recent(8)", interval: 10 })).report.kv;
    expect(never).toMatchObject({ kept: every(12), slots: every(12 + 9) });
  });
});
