import { createCpuBackend, randomWord, type MemorySnapshot } from "@winnow/core-tensor";
import { createCpuWorkerBackend } from "@winnow/core-tensor/worker";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";

import { loadModel, type Model } from "../model";
import { idsPart } from "../prompt/parts";
import type { PromptPart } from "../session/session";
import { TINY } from "../testing/models";
import { failingPlugins } from "../testing/plugins";
import { goldenIds } from "../testing/prompts";

const ids = goldenIds("tiny", 1025);
const registry = failingPlugins();
const POLICIES = ["full", "fastgen", "adaptive", "heavy-hitter", "sink+recent"] as const;
const ANSWER = { maxTokens: 12, ignoreEos: true };

interface Use {
  readonly what: string;
  /** Open a session, do something with it, and close it. */
  run(model: Model, policy: string, prompt: PromptPart): Promise<unknown>;
}

const USES: readonly Use[] = [
  {
    what: "opened and closed",
    run: (model, policy) => {
      model.createSession({ policy })[Symbol.dispose]();
      return Promise.resolve();
    },
  },
  {
    what: "read, asked and read again",
    run: async (model, policy, prompt) => {
      using session = model.createSession({ policy, interval: 4 });
      await session.generate([prompt], ANSWER).report();
      await session.read([{ ids: prompt.ids.slice(0, 5), probe: null }]);
    },
  },
  {
    what: "read whole at every turn",
    run: async (model, policy, prompt) => {
      using session = model.createSession({ policy, memory: "exact" });
      await session.read([prompt]);
      await session.generate([prompt], ANSWER).report();
      session.forget();
    },
  },
  {
    what: "left in the middle of an answer",
    run: async (model, policy, prompt) => {
      using session = model.createSession({ policy });
      for await (const _ of session.generate([prompt], ANSWER)) break;
    },
  },
  {
    what: "closed in the middle of an answer",
    run: async (model, policy, prompt) => {
      const session = model.createSession({ policy });
      const answer = async (): Promise<void> => {
        for await (const _ of session.generate([prompt], ANSWER)) session[Symbol.dispose]();
      };
      await expect(answer()).rejects.toMatchObject({ code: "disposed" });
    },
  },
  {
    what: "aborted while it reads",
    run: async (model, policy, prompt) => {
      using session = model.createSession({ policy });
      const abort = new AbortController();
      const onProgress = (): void => {
        abort.abort();
      };
      const { finishReason } = await session.generate([prompt], { signal: abort.signal, onProgress }).report();
      expect(finishReason).toBe("abort");
    },
  },
  {
    what: "aborted while it answers, and gone on with",
    run: async (model, policy, prompt) => {
      using session = model.createSession({ policy });
      const abort = new AbortController();
      for await (const _ of session.generate([prompt], { ...ANSWER, signal: abort.signal })) abort.abort();
      await session.read([{ ids: [4, 5], probe: null }]);
    },
  },
  {
    what: "given more than the context",
    run: async (model, policy, prompt) => {
      using session = model.createSession({ policy });
      await session.read([prompt]);
      await expect(session.read([idsPart(model.tokenizer, ids)])).rejects.toMatchObject({ code: "context" });
    },
  },
  {
    what: "given ids that do not exist",
    run: async (model, policy, prompt) => {
      using session = model.createSession({ policy });
      const bad = { ids: [...prompt.ids, model.config.vocabulary], probe: prompt.probe };
      await expect(session.read([bad])).rejects.toMatchObject({ code: "prompt" });
      await session.read([prompt]);
    },
  },
  {
    what: "asked for nothing",
    run: async (model, policy, prompt) => {
      using session = model.createSession({ policy });
      await expect(session.generate([prompt, { ids: [], probe: null }]).report()).rejects.toMatchObject({
        code: "prompt",
      });
    },
  },
  {
    what: "cut by a strategy that throws",
    run: async (model, _, prompt) => {
      using session = model.createSession({ policy: "breaks-down", registry });
      await expect(session.read([prompt])).rejects.toMatchObject({ code: "plugin" });
    },
  },
  {
    what: "cut by a statistic that throws",
    run: async (model, _, prompt) => {
      using session = model.createSession({ policy: "top(unsound, 30%)", registry });
      await expect(session.read([prompt])).rejects.toMatchObject({ code: "plugin" });
    },
  },
];

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
      await use?.run(model, policy, idsPart(model.tokenizer, ids.slice(start, start + count)));
      expect(now(), `a session ${use?.what ?? ""}, ${policy} over ${count} tokens`).toEqual(before);
    }
  });

  test("leave nothing behind, several at once", async () => {
    const prompt = idsPart(model.tokenizer, ids.slice(0, 60));
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
});
