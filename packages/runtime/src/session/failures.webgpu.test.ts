import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

import { createWebGpuBackend, requestGpu, type WebGpuBackend } from "@winnow/gpu-backend";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { watchBuffers } from "../../../gpu-backend/src/testing/live-buffers";
import { loadModel, type Model } from "../model";
import { TINY } from "../testing/models";
import { LONG_IDS } from "../testing/session-uses";

const PACKAGE = fileURLToPath(new URL("../..", import.meta.url));
const PROMPT = { ids: LONG_IDS.slice(0, 40), probe: null };

describe.skipIf(process.env.WINNOW_NO_GPU !== undefined)("a GPU that fails while an answer is written", () => {
  let backend: WebGpuBackend;
  let model: Model;

  beforeEach(async () => {
    vi.spyOn(process, "emitWarning").mockReturnValue();
    backend = createWebGpuBackend(await requestGpu({ allowSoftware: true }));
    model = await loadModel(TINY, { backend });
  });

  afterEach(() => {
    model[Symbol.dispose]();
    vi.restoreAllMocks();
  });

  test("as it is lost, ends the answer and every later call with an error that says so", async () => {
    const session = model.createSession({ policy: "heavy-hitter" });
    const answer = async (): Promise<void> => {
      let drawn = 0;
      for await (const _ of session.generate([PROMPT], { maxTokens: 30, ignoreEos: true })) {
        if (++drawn === 5) backend.gpu.device.destroy();
      }
    };
    await expect(answer()).rejects.toMatchObject({ failure: "lost", code: "backend" });
    await expect(session.read([PROMPT])).rejects.toMatchObject({ failure: "lost" });
    session[Symbol.dispose]();
  });

  test("for want of memory, ends the answer with what to do, and goes on when there is some", async () => {
    using session = model.createSession({ policy: "full" });
    await session.read([PROMPT]);
    const { device } = backend.gpu;
    const pop = device.popErrorScope.bind(device);
    const create = device.createBuffer.bind(device);
    let starved = false;
    let refuse = 0;
    device.createBuffer = (descriptor) => {
      if (starved) refuse = 2;
      return create(descriptor);
    };
    // Of a buffer's two scopes the inner one is validation's, the outer one memory's.
    device.popErrorScope = async () => {
      const refused = refuse > 0 && --refuse === 0;
      const error = await pop();
      return refused ? { __brand: "GPUError", message: "no more" } : error;
    };
    const answer = async (): Promise<void> => {
      // A quarter of the context is a slab: on the way to the next a buffer is made.
      for await (const _ of session.generate([PROMPT], { maxTokens: 300, ignoreEos: true })) starved = true;
    };
    await expect(answer()).rejects.toMatchObject({
      failure: "out-of-memory",
      code: "memory",
      message: expect.stringMatching(/no memory for ".*", \d+ bytes/) as unknown,
    });
    starved = false;
    expect(session.tokens).toEqual(PROMPT.ids);
    const { tokens } = await session.generate([PROMPT], { maxTokens: 5, ignoreEos: true, temperature: 0 }).report();
    using fresh = model.createSession({ policy: "full" });
    await fresh.read([PROMPT]);
    const expected = await fresh.generate([PROMPT], { maxTokens: 5, ignoreEos: true, temperature: 0 }).report();
    expect(tokens).toEqual(expected.tokens);
  });

  test("leaves no buffer behind", async () => {
    const buffers = watchBuffers(backend.gpu.device);
    const session = model.createSession({ policy: "fastgen" });
    await session.read([PROMPT]);
    expect(buffers.count()).toBeGreaterThan(0);
    session[Symbol.dispose]();
    model[Symbol.dispose]();
    expect(buffers.count()).toBe(0);
  });

  test("ends the process by itself, with that error", async () => {
    const script = `
      import { createWebGpuBackend, requestGpu } from "@winnow/gpu-backend";
      import { loadModel } from "@winnow/runtime";
      const backend = createWebGpuBackend(await requestGpu({ allowSoftware: true }));
      const model = await loadModel(${JSON.stringify(TINY)}, { backend });
      const session = model.createSession({ policy: "fastgen" });
      for await (const _ of session.generate([{ ids: [4, 5, 6], probe: null }], { maxTokens: 50, ignoreEos: true }))
        backend.gpu.device.destroy();`;
    const child = spawn(process.execPath, ["--input-type=module", "--eval", script], { cwd: PACKAGE, timeout: 30_000 });
    let output = "";
    child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
    const code = await new Promise((resolve) => child.on("close", resolve));
    expect(code).toBe(1);
    expect(output).toContain("failure: 'lost'");
  });
});
