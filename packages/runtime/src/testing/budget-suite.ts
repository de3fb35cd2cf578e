import { kvRowBytes } from "@winnow/core-tensor";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";

import { tableBytes } from "../cache/sequence";
import type { GenerationEvent } from "../generate/decode";
import type { LoadOptions, Model } from "../model";
import type { PromptPart } from "../prompt/prompt-part";
import type { GenerateOptions, Session } from "../session/session";
import { LONG_IDS } from "./session-uses";

/** An answer of its own length, policy and way to draw. */
interface Answer {
  readonly policy: string;
  readonly interval: number;
  readonly parts: readonly PromptPart[];
  readonly options: GenerateOptions;
}

const POLICIES = ["full", "fastgen", "adaptive", "heavy-hitter", "sink(2) | recent(24)", "frequent(40%)", "full"];

/** Together they need far more than the longest alone. */
const ANSWERS: readonly Answer[] = POLICIES.map((policy, i) => ({
  policy,
  interval: 1 + (i % 5),
  parts: [{ ids: LONG_IDS.slice(50 * i, 50 * i + 40 + 12 * i), probe: null }],
  options: {
    maxTokens: 24,
    temperature: i % 3 === 0 ? 0 : 0.9,
    repetitionPenalty: i % 4 === 1 ? 1.2 : 1,
    seed: i,
    ignoreEos: true,
  },
}));

/** Room beside the longest answer, for some of the others. */
const SPARE_BYTES = 40_000;

interface Outcome {
  readonly tokens: readonly number[];
  /** Behind the newest token that was read. */
  readonly logits: readonly number[];
  readonly slots: readonly (readonly number[])[];
}

const PAGE = { pageSlots: 8 };

/** Budgets as they would be if the cache were f32, in what the model's cache really is. */
function budgetsOf({ engine: { store } }: Model): (f32Bytes: number) => number {
  const { kvType, heads } = store.layout;
  const share = kvRowBytes(kvType, heads.headDim) / kvRowBytes("f32", heads.headDim);
  const tables = tableBytes(store);
  return (f32Bytes) => tables + Math.ceil((f32Bytes - tables) * share);
}

/** What holds of a model whose caches have a budget, on any backend. */
export function budgetSuite(name: string, load: (options: LoadOptions) => Promise<Model>): void {
  describe(`a KV budget, ${name}`, () => {
    let budgetOf: (f32Bytes: number) => number;
    let alone: { readonly expected: readonly Outcome[]; readonly mostBytes: number };

    beforeAll(async () => {
      using model = await load(PAGE);
      budgetOf = budgetsOf(model);
      const seen = watch(model, Infinity);
      const expected: Outcome[] = [];
      for (const answer of ANSWERS) expected.push(await write(model, answer));
      alone = { expected, mostBytes: seen.most };
    });

    afterEach(() => {
      vi.restoreAllMocks();
    });

    const outcomeOf = async (model: Model, session: Session, tokens: readonly number[]): Promise<Outcome> => ({
      tokens,
      logits: [...(await model.engine.backend.download(session.sequence.logits))],
      slots: session.sequence.report().slots,
    });

    const write = async (model: Model, { policy, interval, parts, options }: Answer): Promise<Outcome> => {
      using session = model.createSession({ policy, interval });
      const { tokens } = await session.generate(parts, options).report();
      return await outcomeOf(model, session, tokens);
    };

    /** Fails when an allocation takes the caches over the budget; tells the most that they came to. */
    const watch = (model: Model, budgetBytes: number): { most: number } => {
      const { backend } = model.engine;
      const seen = { most: 0 };
      const allocate = backend.allocate.bind(backend);
      vi.spyOn(backend, "allocate").mockImplementation((...args) => {
        const tensor = allocate(...args);
        seen.most = Math.max(seen.most, backend.memory.snapshot().kv);
        expect(seen.most).toBeLessThanOrEqual(budgetBytes);
        return tensor;
      });
      return seen;
    };

    test("answers that do not fit together wait, leave and come back, and are to the bit what each is alone", async () => {
      const { expected, mostBytes } = alone;
      const budget = mostBytes + SPARE_BYTES;
      using model = await load({ ...PAGE, kvBudgetBytes: budget });
      const seen = watch(model, budget);
      const park = vi.spyOn(model.engine.backend, "download");
      const states = new Set<string>();
      const sessions = ANSWERS.map(({ policy, interval }) => model.createSession({ policy, interval }));
      const found = await Promise.all(
        ANSWERS.map(async ({ parts, options }, i) => {
          const session = sessions[i];
          if (session === undefined) throw new RangeError(`there is no session ${i}`);
          const tokens: number[] = [];
          for await (const event of session.generate(parts, options)) {
            if (event.kind === "token") tokens.push(event.id);
            for (const other of sessions) states.add(other.state);
          }
          return { session, tokens };
        }),
      );
      expect(states).toEqual(new Set(["waiting", "reading", "writing", "parked", "idle"]));
      for (const [i, { session, tokens }] of found.entries()) {
        await session.wake();
        expect(await outcomeOf(model, session, tokens)).toEqual(expected[i]);
        session[Symbol.dispose]();
      }
      expect(park).toHaveBeenCalled();
      expect(seen.most).toBeGreaterThan(0.5 * budget);
      expect(model.cache).toMatchObject({ budgetBytes: budget, reservedBytes: 0, bytes: 0 });
    });

    test("an answer that is left, aborted or closed while it waits or is parked leaves nothing behind", async () => {
      const { mostBytes, expected } = alone;
      using model = await load({ ...PAGE, kvBudgetBytes: mostBytes + SPARE_BYTES });
      const abort = new AbortController();
      const sessions = ANSWERS.map(({ policy, interval }) => model.createSession({ policy, interval }));
      const run = async ({ parts, options }: Answer, i: number): Promise<readonly number[] | string> => {
        const session = sessions[i];
        if (session === undefined) throw new RangeError(`there is no session ${i}`);
        using _ = session;
        const tokens: number[] = [];
        const signal = i % 3 === 1 ? abort.signal : undefined;
        for await (const event of session.generate(parts, { ...options, signal })) {
          if (event.kind === "token") tokens.push(event.id);
          const parked = sessions.findIndex((other, j) => other.state === "parked" && j % 3 !== 0);
          if (parked < 0) continue;
          abort.abort();
          if (parked % 3 === 2) sessions[parked]?.[Symbol.dispose]();
          else if (i % 3 === 2) break;
        }
        return i % 3 === 0 ? tokens : "over";
      };
      const outcomes = await Promise.allSettled(ANSWERS.map(run));
      for (const [i, outcome] of outcomes.entries()) {
        if (outcome.status === "rejected") expect(outcome.reason).toMatchObject({ code: "disposed" });
        else if (i % 3 === 0) expect(outcome.value).toEqual(expected[i]?.tokens);
      }
      for (const i of [0, 3, 6]) expect(outcomes[i]?.status).toBe("fulfilled");
      expect(model.cache).toMatchObject({ reservedBytes: 0, bytes: 0 });
    });

    test("a prompt that does not fit even alone is told so, and others go on", async () => {
      using model = await load({ ...PAGE, kvBudgetBytes: budgetOf(200_000) });
      using long = model.createSession({ policy: "full" });
      using short = model.createSession({ policy: "full" });
      const part = (count: number): PromptPart => ({ ids: LONG_IDS.slice(0, count), probe: null });
      const options = { maxTokens: 8, ignoreEos: true };
      const [tooLong, fine] = await Promise.allSettled([
        long.generate([part(1000)], options).report(),
        short.generate([part(60)], options).report(),
      ]);
      expect(tooLong).toMatchObject({ status: "rejected", reason: { code: "memory" } });
      expect(fine.status).toBe("fulfilled");
      await expect(long.generate([part(60)], options).report()).resolves.toMatchObject({ finishReason: "length" });
    });

    test("an answer that outgrows the budget alone is told so", async () => {
      using model = await load({ ...PAGE, kvBudgetBytes: budgetOf(190_000) });
      using session = model.createSession({ policy: "full" });
      const events: GenerationEvent[] = [];
      const write = async (): Promise<void> => {
        for await (const event of session.generate([{ ids: LONG_IDS.slice(0, 60), probe: null }], { ignoreEos: true }))
          events.push(event);
      };
      await expect(write()).rejects.toMatchObject({ code: "memory" });
      expect(events.length).toBeGreaterThan(20);
      session.forget();
      expect(model.cache.reservedBytes).toBe(0);
    });

    test("idle sessions make room, and go on as if they had never left", async () => {
      const first = { ids: LONG_IDS.slice(0, 90), probe: null };
      const second = { ids: LONG_IDS.slice(200, 230), probe: null };
      const options = { maxTokens: 12, ignoreEos: true };
      const turns = async (model: Model, between: () => Promise<unknown>): Promise<Outcome> => {
        using session = model.createSession({ policy: "fastgen", interval: 3 });
        await session.generate([first], options).report();
        await between();
        const { tokens } = await session.generate([second], options).report();
        return await outcomeOf(model, session, tokens);
      };
      using free = await load(PAGE);
      const expected = await turns(free, () => Promise.resolve());
      using model = await load({ ...PAGE, kvBudgetBytes: budgetOf(200_000) });
      let left: string[] = [];
      const others: Session[] = [];
      const found = await turns(model, async () => {
        for (let i = 0; i < 4; i++) {
          const other = model.createSession({ policy: "full" });
          others.push(other);
          await other.read([{ ids: LONG_IDS.slice(0, 110 + i), probe: null }]);
        }
        left = others.map(({ state }) => state);
      });
      expect(left).toContain("parked");
      expect(found).toEqual(expected);
      for (const other of others) other[Symbol.dispose]();
    });

    describe("a part that prompts share", () => {
      const shared: PromptPart = { ...textOf(300), shared: true };
      const question = (i: number): PromptPart => ({ ids: LONG_IDS.slice(400 + 7 * i, 430 + 7 * i), probe: null });
      const answer = (policy: string, i: number): Answer => ({
        policy,
        interval: 4,
        parts: [shared, question(i)],
        options: { maxTokens: 10, ignoreEos: true, seed: i, temperature: 0.7 },
      });

      test.each(["full", "fastgen", "adaptive", "top(keyDiff, 40%)"])("is read once (%s)", async (policy) => {
        using free = await load(PAGE);
        using model = await load({ ...PAGE, kvBudgetBytes: budgetOf(4_000_000) });
        for (let i = 0; i < 3; i++) {
          const expected = await write(free, answer(policy, i));
          expect(await write(model, answer(policy, i))).toEqual(expected);
          expect(model.cache.prefixes).toMatchObject({ entries: 1, hits: i, misses: 1 });
        }
        expect(free.cache.prefixes).toMatchObject({ entries: 0, hits: 0, misses: 3 });
        using session = model.createSession({ policy });
        const { cachedTokens } = await session.generate([shared, question(9)], { maxTokens: 2 }).report();
        expect(cachedTokens).toBe(shared.ids.length);
        expect(model.cache.prefixes.bytes).toBeGreaterThan(0);
        session[Symbol.dispose]();
        model.prefixes.clear();
        expect(model.cache).toMatchObject({ reservedBytes: 0, bytes: 0 });
      });

      test("is kept apart by how it is cut, and gives way to prompts", async () => {
        using model = await load({ ...PAGE, kvBudgetBytes: budgetOf(900_000) });
        await write(model, answer("full", 0));
        await write(model, answer("recent(64)", 0));
        expect(model.cache.prefixes).toMatchObject({ entries: 2, hits: 0, misses: 2 });
        using session = model.createSession({ policy: "full" });
        await session.read([{ ids: LONG_IDS.slice(0, 1000), probe: null }]);
        expect(model.cache.prefixes.entries).toBeLessThan(2);
      });
    });

    test("a session that is forked answers as itself, with or without room for two", async () => {
      const prompt = { ids: LONG_IDS.slice(0, 120), probe: null };
      const options = { maxTokens: 10, ignoreEos: true, temperature: 1, seed: 5 };
      using free = await load(PAGE);
      const expected: (readonly number[])[] = [];
      for (const choice of [0, 1, 2]) {
        using session = free.createSession({ policy: "fastgen" });
        expected.push((await session.generate([prompt], { ...options, choice }).report()).tokens);
      }
      expect(new Set(expected.map(String)).size).toBe(3);
      for (const f32Bytes of [4_000_000, 190_000]) {
        using model = await load({ ...PAGE, kvBudgetBytes: budgetOf(f32Bytes) });
        const first = model.createSession({ policy: "fastgen" });
        await first.read([prompt]);
        const second = await first.fork();
        const sessions = [first, second, await second.fork()];
        if (f32Bytes < 1_000_000) expect(sessions.map(({ state }) => state)).toContain("parked");
        const reports = sessions.map((session, choice) => session.generate([], { ...options, choice }).report());
        const found = await Promise.all(reports);
        expect(found.map(({ tokens }) => tokens)).toEqual(expected);
        expect(found.map(({ cachedTokens }) => cachedTokens)).toEqual([120, 120, 120]);
        for (const session of sessions) session[Symbol.dispose]();
        expect(model.cache.reservedBytes).toBe(0);
      }
    });
  });
}

function textOf(count: number): PromptPart {
  return { ids: LONG_IDS.slice(100, 100 + count), probe: { kind: "ids", ids: LONG_IDS.slice(110, 140) } };
}
