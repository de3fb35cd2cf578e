import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { loadModel, type Model } from "../model";
import { idsPart } from "../prompt/parts";
import type { PromptPart } from "../prompt/prompt-part";
import { resolveSession } from "../session/resolve-policy";
import { Session } from "../session/session";
import { cacheContents, newestLogits, positionsOf } from "../testing/cache-contents";
import { DEMO, TINY } from "../testing/models";
import { goldenIds } from "../testing/prompts";
import { readToken, readTokens } from "./step";
import { StepBuffers } from "./step-buffers";

const POLICIES = ["full", "fastgen", "adaptive", "heavy-hitter", "sink+recent", "sink(2) | top(windowMass, 30%)"];

describe.each([
  { name: "demo", dir: DEMO, count: 70 },
  { name: "tiny", dir: TINY, count: 200 },
] as const)("the $name model", ({ name, dir, count }) => {
  const ids = goldenIds(name, 700);
  const prompt = ids.slice(0, count);
  let model: Model;

  beforeAll(async () => {
    model = await loadModel(dir);
  });

  afterAll(() => {
    model[Symbol.dispose]();
  });

  const plain = (part: readonly number[]): PromptPart => ({ ids: part, probe: null });

  /** Everything that a session goes on from. */
  async function stateOf(session: Session) {
    const { plan, recovery, slots, bytes } = session.sequence.report();
    const logits = await newestLogits(model, session);
    return { plan, recovery, slots, bytes, logits, cache: await cacheContents(model, session) };
  }

  test.each([1, 16, count - 1])(
    "a prompt read in two parts, %i tokens first, is a prompt read at once",
    async (first) => {
      using whole = model.createSession({ policy: "full" });
      await whole.read([plain(prompt)]);
      using parts = model.createSession({ policy: "full" });
      await parts.read([plain(prompt.slice(0, first)), plain(prompt.slice(first))]);
      expect(await stateOf(parts)).toEqual(await stateOf(whole));
      using turns = model.createSession({ policy: "full" });
      await turns.read([plain(prompt.slice(0, first))]);
      await turns.read([plain(prompt.slice(first))]);
      expect(await stateOf(turns)).toEqual(await stateOf(whole));
    },
  );

  test.each(POLICIES)("%s does not depend on how many rows are read at a time", async (policy) => {
    const settings = resolveSession({ policy, recovery: policy === "fastgen" ? 0.8 : undefined }, model);
    const parts = [idsPart(model.tokenizer, prompt), plain(ids.slice(count, count + 20))];
    const readBy = async (unitRows: number) => {
      const { engine, tokenizer, samplingDefaults, eosIds, rounds, reading, prefixes } = model;
      const chunked = {
        engine: { ...engine, unitRows },
        tokenizer,
        samplingDefaults,
        eosIds,
        rounds,
        reading,
        prefixes,
      };
      using session = new Session(chunked, settings);
      await session.read(parts);
      return await stateOf(session);
    };
    const whole = await readBy(1000);
    for (const unitRows of [1, 7, 33]) expect(await readBy(unitRows)).toEqual(whole);
  });

  test("a token that is generated is read as a token of the prompt is", async () => {
    using stepped = model.createSession({ policy: "full" });
    await stepped.read([plain(prompt.slice(0, count - 3))]);
    for (const id of prompt.slice(count - 3)) readToken(stepped.sequence, id);
    using read = model.createSession({ policy: "full" });
    await read.read([plain(prompt)]);
    expect(await stateOf(stepped)).toEqual(await stateOf(read));
  });

  test("what a column was given adds up alike at once, in parts and token by token", async () => {
    const policy = "frequent(700) | top(maxWeight, 700) | top(lastMass, 700)";
    const columnsAfter = async (parts: readonly number[], steps: readonly number[]) => {
      using session = model.createSession({ policy });
      for (const [i, end] of parts.entries()) await session.read([plain(prompt.slice(parts[i - 1] ?? 0, end))]);
      for (const id of steps) readToken(session.sequence, id);
      const cache = await cacheContents(model, session);
      return cache.flat();
    };
    const whole = await columnsAfter([count], []);
    const inParts = await columnsAfter([count - 30, count - 10, count], []);
    const stepped = await columnsAfter([count - 10], prompt.slice(count - 10));
    whole.forEach((head, h) => {
      for (const other of [inParts[h], stepped[h]]) {
        expect(other && positionsOf(other)).toEqual(Uint32Array.from(prompt.keys()));
        for (const name of ["mass", "maxWeight", "lastMass"] as const) {
          const differences = head.columns[name]?.map((value, i) =>
            Math.abs(value - (other?.columns[name]?.[i] ?? NaN)),
          ) ?? [NaN];
          expect(Math.max(...differences)).toBeLessThan(1e-4);
        }
      }
    });
  });

  test.each(["full", "frequent(700) | top(maxWeight, 700)", "frequent(20%)"])(
    "a token that is read ahead and taken back leaves %s as it was",
    async (policy) => {
      using session = model.createSession({ policy });
      await session.read([plain(prompt.slice(0, count - 2))]);
      const { sequence } = session;
      const [next = 0, other = 0] = prompt.slice(count - 2);
      const columnsBut = async (left: readonly string[]) =>
        (await cacheContents(model, session)).flat().map(({ keys, values, columns }) => ({
          keys,
          values,
          columns: Object.fromEntries(Object.entries(columns).filter(([name]) => !left.includes(name))),
        }));
      readToken(sequence, next);
      const before = await columnsBut(["lastMass", "lastMaxWeight"]);
      const { slots, bytes } = sequence.report();
      const logits = await newestLogits(model, session);
      model.engine.backend.write(sequence.drawn.token, Uint32Array.of(other));
      sequence.grow();
      using buffers = new StepBuffers(model.engine, 1);
      readTokens(model.engine, [sequence], buffers);
      expect(sequence.report().slots).toEqual(slots.map((layer) => layer.map((length) => length + 1)));
      sequence.takeBack();
      expect(await columnsBut(["lastMass", "lastMaxWeight"])).toEqual(before);
      expect(sequence.report()).toMatchObject({ slots, bytes });
      expect(await newestLogits(model, session)).toEqual(logits);

      readToken(sequence, next);
      const again = await stateOf(session);
      using straight = model.createSession({ policy });
      await straight.read([plain(prompt.slice(0, count - 2))]);
      for (const id of [next, next]) readToken(straight.sequence, id);
      expect(again).toEqual(await stateOf(straight));
    },
  );

  test.each(["full", "adaptive"])("the interval makes no difference where %s keeps every new token", async (policy) => {
    const [often, seldom] = await Promise.all(
      [1, 16].map(async (interval) => {
        using session = model.createSession({ policy, interval });
        const { tokens } = await session
          .generate([idsPart(model.tokenizer, prompt)], { maxTokens: 20, ignoreEos: true })
          .report();
        const state = await stateOf(session);
        return { tokens, ...state };
      }),
    );
    expect(often).toEqual(seldom);
  });

  test.each(["sink(3) | recent(20)", "every(4, 1) | recent(20%)"])(
    "%s keeps the same positions after every 16th token, swept often or seldom",
    async (policy) => {
      const positionsAt = async (interval: number) => {
        using session = model.createSession({ policy, interval });
        await session.generate([plain(prompt)], { maxTokens: 33, ignoreEos: true }).report();
        const cache = await cacheContents(model, session);
        return cache.map((layer) => layer.map(positionsOf));
      };
      expect(await positionsAt(16)).toEqual(await positionsAt(1));
    },
  );

  test("between two sweeps a head holds what the sweep left and the tokens since", async () => {
    using session = model.createSession({ policy: "heavy-hitter", interval: 5 });
    const lengths: number[][] = [];
    for await (const _ of session.generate([plain(prompt)], { maxTokens: 16, ignoreEos: true }))
      lengths.push(session.sequence.layers.flatMap((layer) => layer.lengths));
    lengths.forEach((now, i) => {
      const before = lengths[i - 1];
      if (before === undefined) return;
      if (i % 5 !== 0) expect(now).toEqual(before.map((length) => length + 1));
      else expect(now.every((length, head) => length <= (before[head] ?? 0))).toBe(true);
    });
  });

  test.each(["fastgen", "adaptive"])(
    "a long part is profiled again, and %s may only take a later candidate than before",
    async (policy) => {
      const T = 0.75;
      const later = idsPart(model.tokenizer, ids.slice(300, 300 + count));
      const taken = (of: Session): number[] => of.sequence.heads.flat().map(({ candidate }) => candidate);
      using alone = model.createSession({ policy, recovery: T });
      await alone.read([later]);
      let wouldFall = 0;
      for (const start of [0, 100, 500]) {
        using session = model.createSession({ policy, recovery: T });
        await session.read([idsPart(model.tokenizer, ids.slice(start, start + 64))]);
        const before = taken(session);
        await session.read([later]);
        session.sequence.heads.flat().forEach(({ candidate, measured, recovery }, head) => {
          const least = before[head] ?? NaN;
          const reach = measured.findIndex((price, i) => i >= least && (price.recovery ?? 0) >= T);
          expect(candidate).toBe(reach < 0 ? measured.length - 1 : reach);
          expect(recovery).toBe(measured[candidate]?.recovery);
        });
        wouldFall += taken(alone).filter((candidate, head) => candidate < (before[head] ?? NaN)).length;
      }
      expect(wouldFall).toBeGreaterThan(0);
    },
  );

  test.each(POLICIES)("a short part is cut by what %s chose before", async (policy) => {
    using session = model.createSession({ policy });
    await session.read([idsPart(model.tokenizer, prompt)]);
    const { rows } = session;
    const chosen = () => session.sequence.heads.map((layer) => layer.map(({ kept: _, ...state }) => state));
    const before = chosen();
    await session.read([idsPart(model.tokenizer, ids.slice(count, count + 63))]);
    expect(chosen()).toEqual(before);
    await session.read([idsPart(model.tokenizer, ids.slice(300, 300 + count + 62))]);
    expect(chosen()).toEqual(before);
    expect(session.rows).toEqual(rows);
  });

  test.each(POLICIES)("a session that reads exactly is a fresh one at every turn, with %s", async (policy) => {
    const options = { maxTokens: 6, ignoreEos: true };
    using session = model.createSession({ policy, memory: "exact" });
    await session.generate([idsPart(model.tokenizer, ids.slice(0, 40))], options).report();
    const question = idsPart(model.tokenizer, ids.slice(60, 80));
    const conversation = [...session.tokens, ...question.ids];
    // What was said before is replayed with the question, but for tokens that structure a conversation.
    const behind = (before: readonly number[]): PromptPart => ({
      ids: [...before, ...question.ids],
      probe: replayed([...before.filter((id) => !model.tokenizer.specialIds.has(id)), ...question.ids], question),
    });
    const first = behind(session.tokens);
    await session.read([question]);
    using fresh = model.createSession({ policy });
    await fresh.read([first]);
    expect(session.tokens).toEqual(conversation);
    expect(await stateOf(session)).toEqual(await stateOf(fresh));
    const second = behind(conversation);
    const again = await session.generate([question], options).report();
    using other = model.createSession({ policy });
    expect(await other.generate([second], options).report()).toMatchObject({ tokens: again.tokens, kv: again.kv });
  });
});

/** A part's probe with another text. */
function replayed(subject: readonly number[], { probe }: PromptPart): PromptPart["probe"] {
  if (probe?.kind !== "replay") throw new Error("the part has no replay");
  return { ...probe, subject };
}
