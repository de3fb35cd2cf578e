import { createWebGpuBackend, requestGpu, type WebGpuBackend, type WebGpuCounts } from "@winnow/gpu-backend";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";

import { loadModel, type Model } from "../model";
import { idsPart } from "../prompt/parts";
import type { SessionOptions } from "../session/session-options";
import { DEMO, TINY } from "../testing/models";
import { LONG_IDS } from "../testing/session-uses";

/** With the tokens behind it, between two powers of two: intermediate results grow at these. */
const PROMPT_TOKENS = 140;
const WARM_TOKENS = 24;
const TOKENS = 40;
/** What operations are told of a cache's lengths grows by so many slots. */
const BOUND_SLOTS = 64;
/** The embedding, the head, and two to draw a token. */
const AROUND_LAYERS = 4;

interface Cost extends WebGpuCounts {
  /** Buffers made. */
  readonly buffers: number;
}

describe.skipIf(process.env.WINNOW_NO_GPU !== undefined)("tokens on WebGPU", () => {
  let backend: WebGpuBackend;
  let model: Model;
  let created = 0;

  beforeAll(async () => {
    vi.spyOn(process, "emitWarning").mockReturnValue();
    backend = createWebGpuBackend(await requestGpu({ allowSoftware: true }));
    const { device } = backend.gpu;
    const createBuffer = device.createBuffer.bind(device);
    vi.spyOn(device, "createBuffer").mockImplementation((descriptor) => {
      created++;
      return createBuffer(descriptor);
    });
    model = await loadModel(DEMO, { backend });
  });

  afterAll(() => {
    model[Symbol.dispose]();
    vi.restoreAllMocks();
  });

  /** What some tokens cost, once the first ones have made what all use. */
  async function costOf(options: SessionOptions, of = { model, backend }, promptTokens = PROMPT_TOKENS): Promise<Cost> {
    using session = of.model.createSession(options);
    const prompt = idsPart(of.model.tokenizer, LONG_IDS.slice(0, promptTokens));
    const now = (): Cost => ({ ...of.backend.counts, buffers: created });
    let drawn = 0;
    let first = now();
    for await (const { kind } of session.generate([prompt], { maxTokens: WARM_TOKENS + TOKENS + 1, ignoreEos: true })) {
      if (kind !== "token") continue;
      drawn++;
      if (drawn === WARM_TOKENS) first = now();
      if (drawn !== WARM_TOKENS + TOKENS) continue;
      const last = now();
      return {
        pipelines: last.pipelines - first.pipelines,
        bindGroups: last.bindGroups - first.bindGroups,
        dispatches: last.dispatches - first.dispatches,
        submissions: last.submissions - first.submissions,
        plans: last.plans - first.plans,
        planned: last.planned - first.planned,
        buffers: last.buffers - first.buffers,
      };
    }
    throw new Error("the answer ended early");
  }

  const layers = (): number => model.engine.store.layout.layers;

  test("take at most eight dispatches a layer, and make nothing", async () => {
    // Four products, the append, attention and its merge; an eighth where weights are added up.
    const cost = await costOf({ policy: "full" });
    expect(cost.dispatches / TOKENS).toBe(7 * layers() + AROUND_LAYERS);
    expect(cost.submissions / TOKENS).toBe(2);
    expect(cost).toMatchObject({ pipelines: 0, bindGroups: 0, buffers: 0 });
  });

  test("are told to the device again, but for the draw and where bounds grow, and leave no plan behind", async () => {
    await costOf({ policy: "full" });
    const before = backend.counts;
    expect(before.plans).toBe(0);
    // The first token is read behind the prompt.
    const first = PROMPT_TOKENS + WARM_TOKENS;
    const grown = Math.floor((first + TOKENS) / BOUND_SLOTS) - Math.floor(first / BOUND_SLOTS);
    const cost = await costOf({ policy: "full" });
    expect(grown).toBe(1);
    // Then each layer's attention has more tiles.
    expect(cost.planned).toBe(TOKENS + grown * layers());
    expect(cost).toMatchObject({ submissions: 2 * TOKENS, pipelines: 0, bindGroups: 0, buffers: 0 });
    // Heads that add up weights are told again as well; the buffer of their columns grows once, and every append binds it.
    const accumulating = await costOf({ policy: "frequent(40)", interval: 4 * TOKENS });
    expect(accumulating.planned).toBeLessThanOrEqual(TOKENS + (grown + 2) * layers());
    expect(accumulating.pipelines).toBe(0);
    expect(backend.counts.plans).toBe(0);
  });

  test("of answers that come and go beside each other are told again as well", async () => {
    const prompt = idsPart(model.tokenizer, LONG_IDS.slice(0, PROMPT_TOKENS));
    const write = async (maxTokens: number): Promise<void> => {
      using session = model.createSession({ policy: "full" });
      await session.generate([prompt], { maxTokens, ignoreEos: true }).report();
    };
    await Promise.all([write(40), write(60), write(80)]);
    const before = backend.counts;
    await Promise.all([write(40), write(60), write(80)]);
    const after = backend.counts;
    expect(after.pipelines).toBe(before.pipelines);
    expect(after.plans).toBe(0);
    // Of what was told, little was planned, prompts included.
    expect((after.planned - before.planned) / (after.dispatches - before.dispatches)).toBeLessThan(0.25);
  });

  test("take two dispatches for a sweep, and one for each layer that can lose slots", async () => {
    const interval = 4;
    const cost = await costOf({ policy: "frequent(40)", interval });
    const ofSweeps = (TOKENS / interval) * (2 + layers());
    expect(cost.dispatches).toBe(TOKENS * (8 * layers() + AROUND_LAYERS) + ofSweeps);
    expect(cost).toMatchObject({ pipelines: 0, bindGroups: 0, buffers: 0 });
  });

  test("take one more for each further slab of a layer", async () => {
    const backend = createWebGpuBackend(await requestGpu({ allowSoftware: true }));
    using model = await loadModel(TINY, { backend });
    const { layers, context } = model.engine.store.layout;
    const short = await costOf({ policy: "full" }, { model, backend }, 10);
    // A slab holds a quarter of the context.
    const long = await costOf({ policy: "full" }, { model, backend }, context / 4 + 10);
    expect(long.dispatches - short.dispatches).toBe(TOKENS * layers);
    // What others have in the same pool is of no matter.
    using other = model.createSession({ policy: "full" });
    await other.read([idsPart(model.tokenizer, LONG_IDS.slice(0, context / 2 + 10))]);
    const beside = await costOf({ policy: "full" }, { model, backend }, 10);
    expect(beside.dispatches).toBe(short.dispatches);
  });
});
