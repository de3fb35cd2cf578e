import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";

import { loadModel, type Model } from "../model";
import { openBackend } from "../open-backend";
import { resolveSession } from "../session/resolve-policy";
import { restoreSession, saveSession } from "../session/session-file";
import { Session, type GenerateOptions } from "../session/session";
import { cacheContents, newestLogits } from "../testing/cache-contents";
import { guessing } from "../testing/draft-finders";
import { DEMO, TINY } from "../testing/models";
import { LONG_IDS } from "../testing/session-uses";
import type { Drafting } from "./draft-finder";

const PAGES = { pageSlots: 8 };
const POLICIES = ["full", "adaptive", "fastgen", "heavy-hitter", "tova"] as const;
const OPTIONS: GenerateOptions = { maxTokens: 24, ignoreEos: true, temperature: 0.8 };
const plain = (ids: readonly number[]) => ({ ids, probe: null });

let tiny: Model;

beforeAll(async () => {
  tiny = await loadModel(TINY, PAGES);
});

afterAll(() => {
  tiny[Symbol.dispose]();
});

function open(model: Model, policy: string, drafting: Drafting | null): Session {
  return new Session(model, { ...resolveSession({ policy, interval: 8 }, model), drafting });
}

interface Task {
  readonly policy: string;
  readonly prompt: readonly number[];
  readonly seed: number;
}

const TASKS: readonly Task[] = Array.from({ length: 10 }, (_, i) => ({
  policy: POLICIES[i % POLICIES.length] ?? "full",
  prompt: LONG_IDS.slice(30 * i, 30 * i + 8 + 7 * i),
  seed: i,
}));

interface Asked {
  readonly task: Task;
  readonly drafting: Drafting | null;
}

/** Answers that are written at the same time. */
async function write(model: Model, asked: readonly Asked[]) {
  const sessions = asked.map(({ task, drafting }) => open(model, task.policy, drafting));
  const writing = sessions.map((session, i) =>
    session.generate([plain(asked[i]?.task.prompt ?? [])], { ...OPTIONS, seed: asked[i]?.task.seed }).report(),
  );
  const reports = await Promise.all(writing);
  const answers = [];
  for (const [i, session] of sessions.entries()) {
    await session.wake();
    const { slots, plan } = session.sequence.report();
    const contents = await cacheContents(model, session);
    const logits = await newestLogits(model, session);
    answers.push({
      found: { tokens: reports[i]?.tokens, slots, plan, contents, logits },
      drafted: reports[i]?.speculation?.drafted ?? 0,
      all: [...session.tokens],
    });
    session[Symbol.dispose]();
  }
  return answers;
}

/** What each is alone and without guesses, and who knows it. */
async function known(model: Model, tasks: readonly Task[]) {
  const results = [];
  for (const task of tasks) {
    for (const { found, all } of await write(model, [{ task, drafting: null }]))
      results.push({ task, found, all, drafting: guessing("prophet", 7, all, model.config.vocabulary) });
  }
  return results;
}

describe("guesses", () => {
  test.each([2, 5, 8, 10])(
    "of %d answers at the same time ride along where a step has rows to spare",
    async (count) => {
      const all = await known(tiny, TASKS.slice(0, count));
      const answers = await write(tiny, all);
      answers.forEach(({ found }, i) => {
        expect(found).toEqual(all[i]?.found);
      });
      expect(answers.reduce((sum, { drafted }) => sum + drafted, 0)).toBeGreaterThan(0);
    },
  );

  test("count among the bytes in use while they are read, right or wrong", async () => {
    const { backend } = tiny.engine;
    const attend = backend.attend.bind(backend);
    const spy = vi.spyOn(backend, "attend");
    try {
      let isMore = false;
      // Some end where a guess has just taken a page that the answer has no use for.
      for (let until = 24; until < 32; until++) {
        using session = open(tiny, "full", guessing("garbage", 7, [], tiny.config.vocabulary));
        const abort = new AbortController();
        const options = { ...OPTIONS, maxTokens: 40, signal: abort.signal };
        const generation = session.generate([plain(LONG_IDS.slice(0, 3))], options);
        let drawn = 0;
        let most = 0;
        spy.mockImplementation((spec) => {
          if (session.sequence.draft !== null) most = Math.max(most, session.sequence.bytes);
          attend(spec);
        });
        for await (const { kind } of generation) if (kind === "token" && ++drawn === until) abort.abort();
        const { kv } = await generation.report();
        isMore ||= most > kv.bytes;
        expect(kv.peakBytes).toBeGreaterThanOrEqual(most);
      }
      expect(isMore).toBe(true);
    } finally {
      spy.mockRestore();
    }
  });

  test("take no room that the KV budget does not have", async () => {
    /** Tells the most that the caches' buffers came to. */
    const watch = ({ engine: { backend } }: Model): { most: number } => {
      const seen = { most: 0 };
      const allocate = backend.allocate.bind(backend);
      vi.spyOn(backend, "allocate").mockImplementation((...args) => {
        const tensor = allocate(...args);
        seen.most = Math.max(seen.most, backend.memory.snapshot().kv);
        return tensor;
      });
      return seen;
    };
    using unbounded = await loadModel(TINY, PAGES);
    const alone = watch(unbounded);
    const all = await known(unbounded, TASKS.slice(3, 9));
    for (const spare of [0, 10_000, 40_000]) {
      const kvBudgetBytes = alone.most + spare;
      using model = await loadModel(TINY, { ...PAGES, kvBudgetBytes });
      const seen = watch(model);
      const answers = await write(model, all);
      answers.forEach(({ found }, i) => {
        expect(found).toEqual(all[i]?.found);
      });
      expect(seen.most).toBeLessThanOrEqual(kvBudgetBytes);
      expect(model.cache.bytes).toBe(0);
    }
  });

  test.each(POLICIES)("leave %s to go on, from its file too, as if there had been none", async (policy) => {
    const folder = mkdtempSync(join(tmpdir(), "winnow-speculation-"));
    try {
      const task = { policy, prompt: LONG_IDS.slice(0, 50), seed: 1 };
      const [usual] = await known(tiny, [task]);
      const files: Buffer[] = [];
      const next = [];
      for (const drafting of [null, usual?.drafting ?? null]) {
        const path = join(folder, String(files.length));
        using session = open(tiny, policy, drafting);
        await session.generate([plain(task.prompt)], { ...OPTIONS, seed: 1 }).report();
        await saveSession(session, tiny, path);
        files.push(readFileSync(path));
        const { session: restored } = await restoreSession(tiny, path, { speculate: drafting === null ? 0 : 3 });
        using other = restored;
        const { tokens, kv } = await other.generate([plain(LONG_IDS.slice(0, 20))], OPTIONS).report();
        const { peakBytes: _, ...held } = kv;
        next.push({ tokens, held, contents: await cacheContents(tiny, other) });
      }
      expect(files[1]?.equals(files[0] ?? Buffer.alloc(0))).toBe(true);
      expect(next[1]).toEqual(next[0]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test.each(POLICIES)("of %s are dropped with an abort amid them, and the session goes on", async (policy) => {
    const task = { policy, prompt: LONG_IDS.slice(0, 30), seed: 2 };
    const [usual] = await known(tiny, [task]);
    for (let until = 1; until <= 12; until++) {
      using session = open(tiny, policy, guessing("seer", 5, usual?.all ?? [], tiny.config.vocabulary));
      const abort = new AbortController();
      const options = { ...OPTIONS, seed: 2, signal: abort.signal };
      const generation = session.generate([plain(task.prompt)], options);
      let drawn = 0;
      for await (const { kind } of generation) if (kind === "token" && ++drawn === until) abort.abort();
      const { tokens, finishReason, kv } = await generation.report();
      expect(finishReason).toBe("abort");
      // What was read for an answer that nobody was told is not counted.
      if (policy === "full") expect(new Set(kv.slots.flat())).toEqual(new Set([kv.tokens]));
      expect(tokens).toEqual(usual?.all.slice(task.prompt.length, task.prompt.length + until));
      expect(session.tokens).toEqual([...task.prompt, ...tokens]);
      const goesOn = await session.generate([plain([7, 8])], { ...OPTIONS, maxTokens: 3 }).report();
      expect(goesOn.tokens).toHaveLength(3);
    }
    expect(tiny.engine.backend.memory.snapshot()).toMatchObject({ kv: 0, activations: 0 });
  });

  test.each([-1, 1.5, 8, NaN])("are refused %d at a time", (speculate) => {
    expect(() => tiny.createSession({ speculate })).toThrow(
      `speculate is ${speculate}; expected a whole number of tokens from 1 to 7, or 0 for none`,
    );
  });
});

test("a guessed token is drawn as often as the model says", async () => {
  using model = await loadModel(DEMO, { backend: await openBackend("cpu", { threads: 1 }) });
  const prompt = model.tokenizer.encode("Tom is 31 years old. Tom");
  const sampling = { maxTokens: 3, ignoreEos: true, temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1 };
  using greedy = model.createSession({ policy: "full" });
  const { tokens: likely } = await greedy.generate([plain(prompt)], { ...sampling, temperature: 0 }).report();
  const [first = 0, second = 0] = likely;
  // The same guess at every place, whatever was drawn.
  const guess = [first, second, second];
  const always: Drafting = {
    most: 1,
    finder: () => ({ push: () => undefined, propose: (most) => guess.slice(0, most) }),
  };
  using base = open(model, "full", always);
  await base.read([plain(prompt)]);
  let firsts = 0;
  let both = 0;
  let accepted = 0;
  let probability = NaN;
  for (let seed = 0; seed < 500; seed++) {
    using session = await base.fork();
    const generation = session.generate([], { ...sampling, seed });
    const drawn: { readonly id: number; readonly logProbability: number }[] = [];
    for await (const event of generation) if (event.kind === "token") drawn.push(event);
    accepted += (await generation.report()).speculation?.accepted ?? 0;
    if (drawn[0]?.id !== first) continue;
    firsts++;
    if (drawn[1]?.id !== second) continue;
    both++;
    probability = Math.exp(drawn[1].logProbability);
  }
  expect(firsts).toBeGreaterThan(50);
  expect(accepted).toBeGreaterThanOrEqual(both);
  const deviation = Math.sqrt((probability * (1 - probability)) / firsts);
  expect(Math.abs(both / firsts - probability)).toBeLessThan(3 * deviation);
});
