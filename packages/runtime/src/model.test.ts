import { createCpuBackend, type Backend } from "@winnow/core-tensor";
import { expect, test, vi } from "vitest";

import { loadModel } from "./model";
import { TINY } from "./testing/models";

test("a backend that is still to be opened is not, where the model is not there", async () => {
  const backend = vi.fn(() => Promise.resolve(createCpuBackend()));
  await expect(loadModel("nowhere", { backend })).rejects.toMatchObject({ code: "file" });
  await expect(loadModel("nowhere.gguf", { backend })).rejects.toMatchObject({ code: "file" });
  await expect(loadModel(TINY, { backend, context: 1e9 })).rejects.toMatchObject({ code: "usage" });
  const signal = AbortSignal.abort();
  await expect(loadModel(TINY, { backend, signal })).rejects.toMatchObject({ code: "aborted" });
  expect(backend).not.toHaveBeenCalled();
});

test("a backend that was opened for a model is disposed of with it, and where it cannot be loaded", async () => {
  const opened: Backend[] = [];
  const backend = (): Promise<Backend> => {
    const made = createCpuBackend();
    vi.spyOn(made, Symbol.dispose);
    opened.push(made);
    return Promise.resolve(made);
  };
  const model = await loadModel(TINY, { backend });
  expect(model.engine.backend).toBe(opened[0]);
  expect(opened[0]?.[Symbol.dispose]).not.toHaveBeenCalled();
  model[Symbol.dispose]();
  expect(opened[0]?.[Symbol.dispose]).toHaveBeenCalledOnce();
  const stop = new AbortController();
  const stopped = (): Promise<Backend> => {
    stop.abort();
    return backend();
  };
  await expect(loadModel(TINY, { backend: stopped, signal: stop.signal })).rejects.toMatchObject({ code: "aborted" });
  expect(opened[1]?.[Symbol.dispose]).toHaveBeenCalledOnce();
});

test("one that was opened before stays its owner's where loading fails", async () => {
  using backend = createCpuBackend();
  await expect(loadModel(TINY, { backend, signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "aborted" });
  (await loadModel(TINY, { backend }))[Symbol.dispose]();
});
