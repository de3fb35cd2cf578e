import { randomWord } from "@winnow/core-tensor";
import { createWebGpuBackend, requestGpu, type WebGpuBackend } from "@winnow/gpu-backend";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";

import { watchBuffers, type LiveBuffers } from "../../../gpu-backend/src/testing/live-buffers";
import { loadModel, type Model } from "../model";
import { idsPart } from "../prompt/parts";
import { TINY } from "../testing/models";
import { LONG_IDS, POLICIES, USES } from "../testing/session-uses";

describe.skipIf(process.env.WINNOW_NO_GPU !== undefined)("sessions on WebGPU", () => {
  let backend: WebGpuBackend;
  let model: Model;
  let buffers: LiveBuffers;

  beforeAll(async () => {
    vi.spyOn(process, "emitWarning").mockReturnValue();
    backend = createWebGpuBackend(await requestGpu({ allowSoftware: true }));
    buffers = watchBuffers(backend.gpu.device);
    model = await loadModel(TINY, { backend });
  });

  afterAll(() => {
    model[Symbol.dispose]();
    vi.restoreAllMocks();
  });

  const use = async (i: number): Promise<void> => {
    const policy = POLICIES[randomWord(1, i, 0) % POLICIES.length] ?? "full";
    const start = randomWord(1, i, 1) % 900;
    const count = 1 + (randomWord(1, i, 2) % 80);
    const prompt = idsPart(model.tokenizer, LONG_IDS.slice(start, start + count));
    await USES[i % USES.length]?.run(model, policy, prompt);
  };

  /** What is allocated when the backend has given back what it keeps for intermediate results. */
  const now = (): Record<string, number> => {
    backend.trim();
    return Object.fromEntries(backend.memory.byLabel());
  };

  test("leave nothing behind, a thousand of them, however they end", async () => {
    // The backend's own rings and arenas are as large as they get after one of each.
    for (let i = 0; i < USES.length; i++) await use(i);
    const before = now();
    const buffersBefore = buffers.count();
    const pages = model.engine.store.livePages;
    expect(pages).toBe(0);
    for (let i = USES.length; i < 1000; i++) {
      await use(i);
      expect(model.engine.store.livePages, USES[i % USES.length]?.what).toBe(0);
      expect(backend.memory.snapshot().kv, USES[i % USES.length]?.what).toBe(0);
    }
    expect(now()).toEqual(before);
    expect(buffers.count()).toBe(buffersBefore);
    expect(buffers.bytes()).toBe(backend.memory.snapshot().total);
  }, 300_000);
});
