import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { temporaryDirectory } from "../files/testing/temporary-directory";
import { loadModel, type Model } from "../model";
import { openBackend, type BackendName } from "../open-backend";
import { restoreSession, saveSession } from "../session/session-file";
import type { Session } from "../session/session";
import { newestLogits } from "../testing/cache-contents";
import { NaiveDecoder } from "../testing/naive-decoder";
import { goldenIds } from "../testing/prompts";
import { randomModel } from "../testing/random-model";
import { fullCacheBytes } from "./kv-store";

const at = temporaryDirectory();
const WINDOW = 24;
/** Every second layer sees a window; scores are capped. */
const GEMMA2 = { architectures: ["Gemma2ForCausalLM"], sliding_window: WINDOW, attn_logit_softcapping: 8 };
const IDS = goldenIds("demo", 150);
const INTERVAL = 5;
const TOLERANCE = { cpu: 1e-5, webgpu: 2e-3 } as const;

const backends: readonly ("cpu" | "webgpu")[] = process.env.WINNOW_NO_GPU === undefined ? ["cpu", "webgpu"] : ["cpu"];

const open = async (dir: string, name: BackendName): Promise<Model> =>
  loadModel(dir, { backend: await openBackend(name), pageSlots: 8, kvType: "f32" });

const plain = (ids: readonly number[]) => ({ ids, probe: null });

describe.each(backends)("a layer's window, on %s", (name) => {
  let model: Model;
  /** By row, what follows it. */
  let expected: Float64Array[];

  beforeAll(async () => {
    model = await open(await randomModel(at(`gemma2-${name}`), GEMMA2), name);
    const naive = await NaiveDecoder.of(model);
    const { windows } = model.engine.decoder.shape;
    expected = naive.logits(IDS, 0, {
      sees: (layer, _, row, column) => column <= row && row - column < (windows[layer] ?? Infinity),
    });
  });

  afterAll(() => {
    model[Symbol.dispose]();
  });

  /** Read further tokens one by one, as an answer would, sweeping now and then. */
  async function step(session: Session, ids: readonly number[]): Promise<void> {
    for (const id of ids) await session.read([plain([id])]);
  }

  async function expectLogits(session: Session, row: number): Promise<void> {
    const found = await newestLogits(model, session);
    const of = expected[row] ?? new Float64Array(0);
    const most = TOLERANCE[name] * Math.max(...of.map(Math.abs));
    found.forEach((logit, token) => {
      expect(Math.abs(logit - (of[token] ?? NaN)), `token ${token} behind row ${row}`).toBeLessThan(most);
    });
  }

  const slotsOf = (session: Session): readonly (readonly number[])[] => session.sequence.report().slots;

  test("is a mask while a prompt is read, and a ceiling on what is kept of it", async () => {
    using session = model.createSession({ policy: "full" });
    await session.read([plain(IDS.slice(0, 100))]);
    await expectLogits(session, 99);
    const { slots, bytes, fullBytes } = session.sequence.report();
    expect(slots).toEqual([
      [WINDOW, WINDOW],
      [100, 100],
      [WINDOW, WINDOW],
      [100, 100],
    ]);
    expect(fullBytes).toBe(fullCacheBytes(model.engine.store.layout, 100));
    // Beside its slots a head in a window stores their positions.
    expect(bytes).toBe(fullBytes + 2 * 2 * WINDOW * 4);
    const rest = { ...model.engine.store.layout, windows: [null, null, null, null] };
    expect(bytes).toBeLessThan(0.65 * fullCacheBytes(rest, 100));
  });

  test.each([1, 30, 90])("is one over a prompt in parts, the first of %i tokens", async (first) => {
    using session = model.createSession({ policy: "full" });
    await session.read([plain(IDS.slice(0, first)), plain(IDS.slice(first, 120)), plain(IDS.slice(120))]);
    await expectLogits(session, IDS.length - 1);
    expect(slotsOf(session)[0]).toEqual([WINDOW, WINDOW]);
  });

  test("frees slots while tokens come one by one, and changes no logits by that", async () => {
    using session = model.createSession({ policy: "full", interval: INTERVAL });
    await session.read([plain(IDS.slice(0, 10))]);
    await step(session, IDS.slice(10, 80));
    await expectLogits(session, 79);
    for (const slots of slotsOf(session)[0] ?? []) expect(slots).toBeLessThanOrEqual(WINDOW + INTERVAL);
    expect(slotsOf(session)[1]).toEqual([80, 80]);
  });

  test("frees slots while an answer is written, whatever the policy", async () => {
    for (const policy of ["full", "adaptive", "fastgen", "heavy-hitter", "sink(2) | recent(60)"]) {
      using session = model.createSession({ policy, interval: INTERVAL });
      const options = { maxTokens: 50, temperature: 0, ignoreEos: true };
      await session.generate([plain(IDS.slice(0, 40))], options).report();
      for (const l of [0, 2]) {
        for (const slots of slotsOf(session)[l] ?? []) expect(slots, policy).toBeLessThanOrEqual(WINDOW + INTERVAL + 1);
      }
    }
    expect(model.engine.store.livePages).toBe(0);
  });

  test("goes on from a saved session, and in a fork", async () => {
    using session = model.createSession({ policy: "full", interval: INTERVAL });
    await session.read([plain(IDS.slice(0, 60))]);
    await saveSession(session, model, at(`${name}.session`));
    using fork = await session.fork();
    const { session: restored } = await restoreSession(model, at(`${name}.session`));
    using back = restored;
    for (const other of [fork, back]) {
      await other.read([plain(IDS.slice(60, 110))]);
      await expectLogits(other, 109);
      expect(slotsOf(other)[2]).toEqual([WINDOW, WINDOW]);
    }
  });
});

test("a window that sees the whole context is none", async () => {
  const wide = await randomModel(at("wide"), { architectures: ["MistralForCausalLM"], sliding_window: 256 });
  const open256 = await randomModel(at("open"), { architectures: ["MistralForCausalLM"], sliding_window: null });
  const stateOf = async (dir: string): Promise<unknown> => {
    using model = await open(dir, "cpu");
    using session = model.createSession({ policy: "fastgen" });
    const report = await session.generate([plain(IDS)], { maxTokens: 20, temperature: 0, ignoreEos: true }).report();
    return { tokens: report.tokens, kept: report.kv.kept, bytes: report.kv.bytes };
  };
  expect(await stateOf(wide)).toEqual(await stateOf(open256));
});
