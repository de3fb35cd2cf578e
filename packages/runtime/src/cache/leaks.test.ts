import { setImmediate } from "node:timers/promises";

import { createCpuBackend, randomWord, type MemorySnapshot } from "@winnow/core-tensor";
import { createCpuWorkerBackend } from "@winnow/core-tensor/worker";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";

import { loadModel, type Model } from "../model";
import { idsPart } from "../prompt/parts";
import { TINY } from "../testing/models";
import { ANSWER, LONG_IDS, POLICIES, USES } from "../testing/session-uses";

describe.each([
  { where: "this thread", makeBackend: createCpuBackend },
  { where: "a worker", makeBackend: createCpuWorkerBackend },
])("200 sessions on a backend in $where", ({ makeBackend }) => {
  let model: Model;
  let before: { pages: number; memory: Omit<MemorySnapshot, "peak">; labels: ReadonlyMap<string, number> };

  const now = (): typeof before => {
    const { store, backend } = model.engine;
    const { peak: _, ...memory } = backend.memory.snapshot();
    return { pages: store.livePages, memory, labels: backend.memory.byLabel() };
  };

  beforeAll(async () => {
    vi.spyOn(process, "emitWarning").mockReturnValue();
    model = await loadModel(TINY, { backend: makeBackend() });
    before = now();
  });

  afterAll(() => {
    model[Symbol.dispose]();
    vi.restoreAllMocks();
  });

  test("leave nothing behind, one after another", async () => {
    expect(before).toMatchObject({ pages: 0, memory: { kv: 0, activations: 0 } });
    for (let i = 0; i < 180; i++) {
      const use = USES[i % USES.length];
      const policy = POLICIES[randomWord(1, i, 0) % POLICIES.length] ?? "full";
      const start = randomWord(1, i, 1) % 900;
      const count = 1 + (randomWord(1, i, 2) % 80);
      await use?.run(model, policy, idsPart(model.tokenizer, LONG_IDS.slice(start, start + count)));
      expect(now(), `a session ${use?.what ?? ""}, ${policy} over ${count} tokens`).toEqual(before);
    }
  });

  test("leave nothing behind, several at once", async () => {
    const prompt = idsPart(model.tokenizer, LONG_IDS.slice(0, 60));
    const reading = POLICIES.flatMap((policy) => {
      const sessions = Array.from({ length: 4 }, () => model.createSession({ policy, interval: 2 }));
      return sessions.map(async (session) => {
        const { tokens } = await session.generate([prompt], ANSWER).report();
        return { policy, session, tokens };
      });
    });
    const read = await Promise.all(reading);
    for (const { policy, session, tokens } of read) {
      expect(tokens).toEqual(read.find((other) => other.policy === policy)?.tokens);
      session[Symbol.dispose]();
    }
    expect(now()).toEqual(before);
  });

  test("leave nothing behind, closed in the midst of what they do, and others go on", async () => {
    const prompt = idsPart(model.tokenizer, LONG_IDS.slice(0, 30));
    const answers = new Map<string, readonly number[]>();
    for (let i = 0; i < 90; i++) {
      const policy = POLICIES[i % POLICIES.length] ?? "full";
      const sessions = [0, 1, 2].map(() => model.createSession({ policy, interval: 2 }));
      const calls = sessions.map((session, n) => session.generate([prompt], { ...ANSWER, maxTokens: 12 + n }).report());
      const outcomes = Promise.allSettled(calls);
      for (let turn = randomWord(2, i, 0) % 120; turn > 0; turn--) await setImmediate();
      for (const session of sessions.slice(1)) session[Symbol.dispose]();
      const [staying, ...closed] = await outcomes;
      for (const outcome of closed) {
        if (outcome.status === "rejected") expect(outcome.reason).toMatchObject({ code: "disposed" });
      }
      if (staying?.status !== "fulfilled")
        throw new Error(`the answer of ${policy} failed in round ${i}`, staying && { cause: staying.reason });
      const { tokens } = staying.value;
      if (!answers.has(policy)) answers.set(policy, tokens);
      expect(tokens, `beside others of ${policy} that were closed in round ${i}`).toEqual(answers.get(policy));
      sessions[0]?.[Symbol.dispose]();
      expect(now(), `sessions of ${policy}, closed in round ${i}`).toEqual(before);
    }
  });
});
