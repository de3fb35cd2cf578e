import { expect } from "vitest";

import type { Model } from "../model";
import { idsPart } from "../prompt/parts";
import type { PromptPart } from "../prompt/prompt-part";
import { failingPlugins } from "./plugins";
import { goldenIds } from "./prompts";

/** More than the tiny model's context. */
export const LONG_IDS = goldenIds("tiny", 1025);
const registry = failingPlugins();
export const POLICIES = ["full", "fastgen", "adaptive", "heavy-hitter", "sink+recent"] as const;
export const ANSWER = { maxTokens: 12, ignoreEos: true };

/** One way to use a session. */
export interface Use {
  readonly what: string;
  /** Open a session, do something with it, and close it. */
  run(model: Model, policy: string, prompt: PromptPart): Promise<unknown>;
}

/** Ways to open, fail and close a session, none of which may leave anything behind. */
export const USES: readonly Use[] = [
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
    what: "answered with guesses, and left amid them",
    run: async (model, policy, { ids, probe }) => {
      using session = model.createSession({ policy, interval: 7, speculate: 4 });
      const repeating = { ids: [...ids, ...ids], probe };
      const { speculation } = await session.generate([repeating], ANSWER).report();
      if (ids.length > 4) expect(speculation?.drafted).toBeGreaterThan(0);
      for await (const _ of session.generate([repeating], ANSWER)) break;
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
      await expect(session.read([idsPart(model.tokenizer, LONG_IDS)])).rejects.toMatchObject({ code: "context" });
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
