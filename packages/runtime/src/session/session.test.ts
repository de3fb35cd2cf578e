import { createCpuBackend } from "@winnow/core-tensor";
import { createCpuWorkerBackend } from "@winnow/core-tensor/worker";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { loadModel, type Model } from "../model";
import { DEMO, TINY } from "../testing/models";
import { goldenIds } from "../testing/prompts";

const ids = goldenIds("tiny", 300);
const part = { ids, probe: null };
const aborted = { code: "aborted", message: "reading the prompt was aborted" };

describe.each([
  ["in the calling thread", createCpuBackend],
  ["in a worker", createCpuWorkerBackend],
])("a backend %s", (_, createBackend) => {
  test("an abort is an error of its own kind, before and while a prompt is read", async () => {
    using model = await loadModel(TINY, { backend: createBackend() });
    using session = model.createSession();
    await expect(session.read([part], { signal: AbortSignal.abort() })).rejects.toMatchObject(aborted);
    const controller = new AbortController();
    const onProgress = (): void => {
      controller.abort();
    };
    const reading = session.read([part], { signal: controller.signal, onProgress });
    await expect(reading).rejects.toMatchObject({ code: "aborted" });
  });

  test("an abort in one session leaves another's answer as it is", async () => {
    using model = await loadModel(TINY, { backend: createBackend() });
    using alone = model.createSession();
    const options = { maxTokens: 20, ignoreEos: true };
    const expected = await alone.generate([part], options).report();
    using first = model.createSession();
    using second = model.createSession();
    const controller = new AbortController();
    const [stopped, finished] = await Promise.all([
      first.generate([part], { ...options, maxTokens: 100, signal: controller.signal }).report(),
      (async () => {
        for await (const _ of second.generate([part], options)) controller.abort();
        return [...second.tokens];
      })(),
    ]);
    expect(stopped.finishReason).toBe("abort");
    expect(finished).toEqual([...ids, ...expected.tokens]);
  });
});

describe("a prompt that is refused", () => {
  let model: Model;
  beforeAll(async () => {
    model = await loadModel(TINY);
  });
  afterAll(() => {
    model[Symbol.dispose]();
  });

  test.each([[NaN], [Infinity], [1.5], [2 ** 32 + 3], [-1], [320]])("names the token id %s", async (id) => {
    using session = model.createSession();
    const message = `the token id ${id} is none of the model's; expected whole numbers below 320`;
    await expect(session.read([{ ids: [0, 4, id, 5], probe: null }])).rejects.toMatchObject({
      code: "prompt",
      message,
    });
    const probe = { kind: "ids", ids: [id] } as const;
    await expect(session.read([{ ids: [0, 4], probe }])).rejects.toMatchObject({ code: "prompt", message });
    expect(session.tokens).toEqual([]);
  });

  test.each(["keep", "exact"] as const)("leaves what was read as it is (%s)", async (memory) => {
    using session = model.createSession({ policy: "full", memory });
    await session.read([part]);
    const before = session.sequence.report();
    const long = { ids: goldenIds("tiny", 1025), probe: null };
    await expect(session.read([long])).rejects.toMatchObject({ code: "context" });
    await expect(session.generate([long]).report()).rejects.toMatchObject({ code: "context" });
    expect(session.sequence.report()).toEqual(before);
    expect(session.stale).toBe(false);
  });
});

test("a part behind one that was evicted whole is measured as if it came first", async () => {
  using model = await loadModel(DEMO);
  const plain = goldenIds("demo", 1000).filter((id) => model.engine.classes.flagsOf([id])[0] === 0);
  const special = plain.slice(70, 145);
  special[0] = special[3] = 0;
  const recoveries = async (...parts: readonly (readonly number[])[]): Promise<number[]> => {
    using session = model.createSession({ policy: "special", rows: "prompt" });
    await session.read(parts.map((of) => ({ ids: of, probe: null })));
    expect(session.sequence.layers.map((layer) => layer.longest)).toEqual([2, 2, 2, 2]);
    return session.sequence.heads.flatMap((layer) => layer.map(({ recovery }) => recovery ?? NaN));
  };
  const behind = await recoveries(plain.slice(0, 70), special);
  const alone = await recoveries(special);
  behind.slice(0, 4).forEach((recovery, head) => {
    expect(recovery).toBeCloseTo(alone[head] ?? NaN, 4);
  });
});
