import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";

import type { GenerationReport, KvReport } from "../generate/report";
import { tableBytes } from "./sequence";
import { loadModel, type Model } from "../model";
import { idsPart, withProbe } from "../prompt/parts";
import type { GenerateOptions, Session } from "../session/session";
import { DEMO, TINY } from "../testing/models";
import { goldenIds } from "../testing/prompts";
import { fullCacheBytes } from "./kv-store";

const PROMPT = 1000;

describe.each([
  { name: "demo", dir: DEMO, pageSlots: 16 },
  { name: "tiny", dir: TINY, pageSlots: 8 },
] as const)("the memory of the $name model, with $pageSlots slots a page", ({ name, dir, pageSlots }) => {
  const ids = goldenIds(name, PROMPT);
  let model: Model;

  beforeAll(async () => {
    model = await loadModel(dir, { pageSlots });
  });

  beforeEach(() => {
    expect(model.engine.store.livePages).toBe(0);
  });

  afterAll(() => {
    model[Symbol.dispose]();
  });

  /** What the pools have given away. */
  const pooled = (): { kv: number; columns: number } => {
    const { layers, columns } = model.engine.store;
    return {
      kv: layers.reduce((sum, pool) => sum + pool.pages.livePages * pool.pageBytes, 0),
      columns: columns.pages.livePages * columns.pageBytes,
    };
  };

  const pageBytes = (): number => 2 * pageSlots * model.config.headDim * 4;

  /** Keys and values of so many slots a head, in whole pages. */
  const slotBytes = (slots: KvReport["slots"]): number =>
    slots.flat().reduce((sum, length) => sum + Math.ceil(length / pageSlots) * pageBytes(), 0);

  const oneLayer = (tokens: number): number => fullCacheBytes(model.engine.store.layout, tokens) / model.config.layers;

  const onePageAHead = (): number => model.config.layers * model.config.kvHeads * pageBytes();

  const onlyRead = (session: Session, count: number, options: GenerateOptions = {}): Promise<GenerationReport> =>
    session
      .generate([idsPart(model.tokenizer, ids.slice(0, count))], { maxTokens: 1, ignoreEos: true, ...options })
      .report();

  test("a long prompt never takes more than what is kept and one layer", async () => {
    using session = model.createSession({ policy: "fastgen", recovery: 0.7 });
    const { kv } = await onlyRead(session, PROMPT);
    expect(kv.bytes / kv.fullBytes).toBeGreaterThan(0.3);
    expect(kv.bytes / kv.fullBytes).toBeLessThan(0.7);
    expect(kv.peakBytes).toBeGreaterThan(kv.bytes);
    expect(kv.peakBytes).toBeLessThanOrEqual(kv.bytes + oneLayer(PROMPT) + onePageAHead());
    expect(kv.peakBytes).toBeLessThan(kv.fullBytes);
  });

  test("a cut that sees the whole model waits for the whole cache, and one of a layer does not", async () => {
    const peakOf = async (policy: string, target?: number): Promise<readonly [peak: number, full: number]> => {
      using session = model.createSession({ policy, target });
      const { kv } = await onlyRead(session, PROMPT);
      expect(kv.bytes).toBeLessThan(kv.fullBytes);
      return [kv.peakBytes, kv.fullBytes];
    };
    for (const [policy, target] of [["kvzip"], ["fastgen", 0.5]] as const) {
      const [peak, full] = await peakOf(policy, target);
      expect(peak, policy).toBeGreaterThanOrEqual(full);
    }
    const [peak, full] = await peakOf("ada-kv(20%)");
    expect(peak).toBeLessThan(full);
  });

  test("a probe adds its own rows of one layer", async () => {
    using session = model.createSession({ policy: "adaptive", recovery: 0.7 });
    const probe = ids.slice(0, 120);
    const prompt = withProbe([idsPart(model.tokenizer, ids.slice(0, 400))], probe);
    const { kv, rows } = await session.generate(prompt, { maxTokens: 1, ignoreEos: true }).report();
    expect(rows.source).toBe("probe");
    expect(kv.bytes).toBeLessThan(kv.fullBytes);
    const { kvHeads, headDim } = model.config;
    const probeBytes = probe.length * kvHeads * headDim * 2 * 4;
    expect(kv.peakBytes).toBeLessThanOrEqual(kv.bytes + oneLayer(400) + probeBytes + onePageAHead());
  });

  test("the device never holds an uncut layer beside another", async () => {
    using session = model.createSession({ policy: "fastgen", recovery: 0.7 });
    const { backend, store } = model.engine;
    const idle = backend.memory.snapshot().kv;
    let scratch = 0;
    await onlyRead(session, 500, {
      onProgress: () => {
        scratch = Math.max(scratch, backend.memory.snapshot().kv - idle - store.reservedBytes);
      },
    });
    const { kvHeads, headDim } = model.config;
    expect(scratch).toBe(tableBytes(store) + 500 * kvHeads * headDim * 2 * 4);
    expect(backend.memory.snapshot().kv).toBe(idle + tableBytes(store) + store.reservedBytes);
  });

  test("the device holds one uncut layer, however many prompts come at once", async () => {
    const { backend } = model.engine;
    const scratchBytes = (): number =>
      [...backend.memory.byLabel()].reduce((sum, [label, bytes]) => sum + (label === "kv.scratch" ? bytes : 0), 0);
    let most = 0;
    const options = {
      onProgress: () => {
        most = Math.max(most, scratchBytes());
      },
    };
    const sessions = Array.from({ length: 3 }, () => model.createSession({ policy: "fastgen" }));
    await Promise.all(sessions.map((session) => session.read([idsPart(model.tokenizer, ids.slice(0, 200))], options)));
    for (const session of sessions) session[Symbol.dispose]();
    const { kvHeads, headDim } = model.config;
    expect(most).toBe(200 * kvHeads * headDim * 2 * 4);
    expect(scratchBytes()).toBe(0);
  });

  test.each(["full", "fastgen", "adaptive", "heavy-hitter", "sink+recent"])(
    "the bytes of %s are those of the pool's pages, at the cut and at every token after it",
    async (policy) => {
      using session = model.createSession({ policy, interval: 3 });
      const expectTrue = (): KvReport => {
        const report = session.sequence.report();
        const { kv, columns } = pooled();
        expect(report.bytes).toBe(kv + columns);
        expect(kv).toBe(slotBytes(report.slots));
        return report;
      };
      const generation = session.generate([idsPart(model.tokenizer, ids.slice(0, 300))], {
        maxTokens: 40,
        ignoreEos: true,
        onPromptRead: () => {
          expect(expectTrue().slots).toEqual(session.sequence.report().kept);
        },
      });
      for await (const _ of generation) expectTrue();
    },
  );

  test("what is cut is given back to the device", async () => {
    const { store } = model.engine;
    const reservedFor = async (policy: string): Promise<number> => {
      using session = model.createSession({ policy });
      await onlyRead(session, 500);
      return store.reservedBytes;
    };
    expect(await reservedFor("heavy-hitter(10%, 10%)")).toBeLessThan(await reservedFor("full"));
    expect(store.reservedBytes).toBe(0);
  });

  test("a sweep gives slabs back that a long answer no longer needs", async () => {
    using session = model.createSession({ policy: "recent(32)", interval: 1000 });
    const { store } = model.engine;
    await onlyRead(session, 40);
    await session.generate([{ ids: ids.slice(0, 20), probe: null }], { maxTokens: 400, ignoreEos: true }).report();
    const grown = { reserved: store.reservedBytes, bytes: session.sequence.bytes };
    await session.read([{ ids: ids.slice(0, 2), probe: null }]);
    expect(store.reservedBytes).toBeLessThan(grown.reserved);
    expect(session.sequence.bytes).toBeLessThan(grown.bytes);
    expect(
      session.sequence
        .report()
        .slots.flat()
        .every((length) => length === 32),
    ).toBe(true);
  });
});
