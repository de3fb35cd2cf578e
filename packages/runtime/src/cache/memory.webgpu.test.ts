import { createWebGpuBackend, requestGpu, type WebGpuBackend } from "@winnow/gpu-backend";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";

import { watchBuffers, type LiveBuffers } from "../../../gpu-backend/src/testing/live-buffers";
import { loadModel, type Model } from "../model";
import { DEMO } from "../testing/models";
import { goldenIds } from "../testing/prompts";
import { fullCacheBytes } from "./kv-store";

const PROMPT = 600;

describe.skipIf(process.env.WINNOW_NO_GPU !== undefined)("the memory of a GPU", () => {
  const ids = goldenIds("demo", PROMPT);
  let backend: WebGpuBackend;
  let buffers: LiveBuffers;
  let model: Model;

  beforeAll(async () => {
    vi.spyOn(process, "emitWarning").mockReturnValue();
    backend = createWebGpuBackend(await requestGpu({ allowSoftware: true }));
    buffers = watchBuffers(backend.gpu.device);
    model = await loadModel(DEMO, { backend });
  });

  afterAll(() => {
    model[Symbol.dispose]();
    expect(buffers.count()).toBe(0);
    vi.restoreAllMocks();
  });

  /** Bytes of the buffers that exist beyond those of a model at rest; what the backend keeps for itself is given back. */
  const live = (): number => {
    backend.trim();
    expect(buffers.bytes()).toBe(backend.memory.snapshot().total);
    return buffers.bytes();
  };

  const bytesAfter = async (policy: string): Promise<{ readonly buffers: number; readonly pages: number }> => {
    using session = model.createSession({ policy });
    const before = live();
    await session.read([{ ids, probe: null }]);
    return { buffers: live() - before, pages: session.sequence.bytes };
  };

  test("is less by what is not kept", async () => {
    await bytesAfter("full");
    const full = await bytesAfter("full");
    const cut = await bytesAfter("heavy-hitter(10%, 10%)");
    expect(full.pages).toBe(fullCacheBytes(model.engine.store.layout, PROMPT));
    expect(cut.pages).toBeLessThan(0.3 * full.pages);
    // Whole slabs, each a quarter of a layer's context.
    const slab = fullCacheBytes(model.engine.store.layout, model.config.context) / model.config.layers / 4;
    expect(full.buffers).toBeGreaterThanOrEqual(full.pages);
    expect(full.buffers).toBeLessThan(full.pages + model.config.layers * slab);
    expect(cut.buffers).toBeLessThan(
      cut.pages + model.config.layers * slab + model.engine.store.columns.pageBytes * 256,
    );
    expect(cut.buffers).toBeLessThan(0.6 * full.buffers);
  });

  test("is given back as sweeps drop what a long answer no longer needs", async () => {
    using session = model.createSession({ policy: "recent(32)", interval: 200 });
    await session.read([{ ids: ids.slice(0, 40), probe: null }]);
    const before = live();
    let most = 0;
    for await (const { kind } of session.generate([{ ids: ids.slice(0, 8), probe: null }], {
      maxTokens: 420,
      ignoreEos: true,
    })) {
      if (kind === "token") most = Math.max(most, buffers.bytes());
    }
    await session.read([{ ids: ids.slice(0, 4), probe: null }]);
    expect(live()).toBeLessThan(most);
    expect(new Set(session.sequence.report().slots.flat())).toEqual(new Set([32]));
    expect(live() - before).toBeLessThan(model.engine.store.columns.pageBytes * 256);
  });

  test("never holds more than what is kept and one layer", async () => {
    using session = model.createSession({ policy: "fastgen", recovery: 0.7 });
    const { kv } = await session.generate([{ ids, probe: null }], { maxTokens: 1, ignoreEos: true }).report();
    const { layers, kvHeads, headDim } = model.config;
    const page = 2 * model.engine.store.layout.pageSlots * headDim * 2;
    expect(kv.bytes).toBeLessThan(0.8 * kv.fullBytes);
    expect(kv.peakBytes).toBeLessThanOrEqual(kv.bytes + kv.fullBytes / layers + layers * kvHeads * page);
    expect(kv.peakBytes).toBeLessThan(kv.fullBytes);
  });
});
