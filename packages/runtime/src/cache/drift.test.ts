import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { PolicyRegistry, definePolicy, type HeadView } from "@winnow/kv-policies";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";

import type { GenerationReport, KvReport } from "../generate/report";
import { loadModel, type Model } from "../model";
import { restoreSession, saveSession } from "../session/session-file";
import type { GenerateOptions, Session } from "../session/session";
import type { SessionOptions } from "../session/session-options";
import { cacheContents, newestLogits } from "../testing/cache-contents";
import { DRIFT_CHAINS, DRIFT_PROMPT, DRIFT_THRESHOLD, driftRegistry } from "../testing/drift-chains";
import { DEMO } from "../testing/models";
import { headPositions, type HeadCopy } from "./head-copy";

const ANSWER = { maxTokens: 40, ignoreEos: true, temperature: 0 };
const registry = driftRegistry();
// No head can do with so little, and there is nothing to go on to: each sweep is put off.
registry.register(definePolicy({ name: "too-little", threshold: 0.99, candidates: () => ["recent(1)"] }));
let model: Model;
let ids: number[];

beforeAll(async () => {
  model = await loadModel(DEMO);
  ids = model.tokenizer.encode(DRIFT_PROMPT, { addSpecial: false });
});

afterAll(() => {
  model[Symbol.dispose]();
});

const open = (options: SessionOptions, of = model): Session =>
  of.createSession({ policy: "hitters", drift: "upgrade", interval: 4, registry, ...options });

const write = (session: Session, options: GenerateOptions = ANSWER): Promise<GenerationReport> =>
  session.generate([{ ids, probe: null }], options).report();

const total = (byHead: readonly (readonly number[])[]): number => byHead.flat().reduce((sum, one) => sum + one, 0);

/** A head as a sweep will see it once the token that was just drawn, and read ahead, is accepted. */
interface Seen extends HeadView {
  /** What the newest row gives each slot; null where the head does not store it. */
  readonly weights: Float32Array | null;
}

async function look(session: Session, drawn: number): Promise<Seen[][]> {
  const { sequence } = session;
  const { backend, store } = model.engine;
  const contents: HeadCopy[][] = await cacheContents(model, session);
  const tokens = [...sequence.tokens, drawn];
  const flags = sequence.classes.flagsOf(tokens);
  const seen: Seen[][] = [];
  for (const [l, layer] of sequence.layers.entries()) {
    const heads: Seen[] = [];
    for (const [head, { keys, columns }] of (contents[l] ?? []).entries()) {
      const position = await headPositions(backend, layer, head, store.layout);
      const { headDim } = store.layout.heads;
      const norms = Float32Array.from(position, (_, slot) =>
        Math.hypot(...keys.subarray(slot * headDim, (slot + 1) * headDim)),
      );
      heads.push({
        row: 0,
        count: position.length,
        now: tokens.length - 1,
        position,
        flags: Uint32Array.from(position, (at) => flags[at] ?? 0),
        columns: { keyNorm: norms, ...(columns.mass === undefined ? {} : { mass: columns.mass }) },
        promptTokens: sequence.promptTokens,
        length: tokens.length,
        classes: sequence.classes,
        weights: columns.lastMass ?? null,
      });
    }
    seen.push(heads);
  }
  return seen;
}

/** The newest row's share of attention on the slots that a mask drops. */
function droppedShare({ weights }: Seen, kept: Uint8Array): number {
  if (weights === null) return 0;
  const sum = (of: (slot: number) => boolean): number =>
    weights.reduce((all, weight, slot) => all + (of(slot) ? weight : 0), 0);
  return sum((slot) => kept[slot] === 0) / sum(() => true);
}

describe.each(Object.entries(DRIFT_CHAINS))("an answer over the chain %s", (policy, chain) => {
  const interval = 4;

  test("is swept as its heads' newest rows allow, head by head", async () => {
    using session = open({ policy, interval });
    const generation = session.generate([{ ids, probe: null }], ANSWER);
    const expected = { delayed: 0, upgraded: 0 };
    const place = new Map<string, { candidate: number; delays: number; drifts: boolean; swept: number[] }>();
    let tokens = 0;
    for await (const event of generation) {
      if (event.kind !== "token" || ++tokens === ANSWER.maxTokens) continue;
      const seen = await look(session, event.id);
      for (const [l, heads] of seen.entries()) {
        for (const [h, head] of heads.entries()) {
          const state = session.sequence.heads[l]?.[h];
          if (state === undefined) throw new RangeError(`there is no head ${h}`);
          const name = `layer ${l}, head ${h}`;
          const known = place.get(name) ?? { ...state, drifts: false, swept: [] };
          place.set(name, known);
          const kept = state.policy.keep(head);
          if (tokens % interval === interval - 1) known.drifts = droppedShare(head, kept) > 1 - DRIFT_THRESHOLD;
          if (tokens % interval === 0) {
            known.swept = [...head.position].filter((_, slot) => known.drifts || kept[slot] === 1);
            known.delays = known.drifts ? known.delays + 1 : 0;
            if (known.drifts) expected.delayed++;
            if (known.delays === 2 && known.candidate + 1 < chain.length) {
              known.candidate++;
              known.delays = 0;
              expected.upgraded++;
            }
          }
          if (tokens % interval === 1 && tokens > 1) {
            expect([...head.position].slice(0, -1), `${name} after ${tokens} tokens`).toEqual(known.swept);
            expect(state, name).toMatchObject({ candidate: known.candidate, delays: known.delays });
          }
        }
      }
    }
    const { kv } = await generation.report();
    expect(expected.delayed).toBeGreaterThan(0);
    expect(expected.upgraded).toBeGreaterThan(0);
    expect(kv.drift).toEqual(expected);
    const texts = [...place.values()].map(({ candidate }) => chain[candidate]);
    expect(kv.plan.flat()).toEqual(texts);
  });

  // A greatest share of the keys is no part of a greatest share of the masses.
  test.skipIf(policy === "keys")(
    "keeps no less of any head than where drift is ignored, and says so in bytes",
    async () => {
      const { kv: before } = await report({ policy, drift: "ignore" });
      const { kv: after } = await report({ policy });
      expect(before.drift).toBeNull();
      after.slots.forEach((heads, l) => {
        heads.forEach((slots, h) => {
          const of = ({ plan }: KvReport): number => chain.findIndex((text) => text === plan[l]?.[h]);
          expect(of(after)).toBeGreaterThanOrEqual(of(before));
          expect(slots).toBeGreaterThanOrEqual(before.slots[l]?.[h] ?? NaN);
        });
      });
      expect(after.kept).toEqual(before.kept);
      expect(total(after.slots)).toBeGreaterThan(total(before.slots));
      expect(after.bytes).toBeGreaterThan(before.bytes);
    },
  );
});

async function report(options: SessionOptions): Promise<GenerationReport> {
  using session = open(options);
  return await write(session);
}

test.each(["fastgen", "windows", "hitters"])(
  "ignored, nothing is stored or counted that was not, by %s",
  async (policy) => {
    using usual = model.createSession({ policy, interval: 4, registry });
    using ignored = open({ policy, drift: "ignore" });
    const expected = await write(usual);
    const found = await write(ignored);
    expect({ ...found.kv, tokens: found.tokens }).toEqual({ ...expected.kv, tokens: expected.tokens });
    expect(found.kv.drift).toBeNull();
    expect(await cacheContents(model, ignored)).toEqual(await cacheContents(model, usual));
    if (policy !== "windows") return;
    expect(new Set(ignored.sequence.layers.flatMap(({ storedColumns }) => storedColumns))).toEqual(
      new Set(["position"]),
    );
  },
);

test("what a later candidate ranks by is counted from the prompt on", async () => {
  const all = "frequent(100%)";
  const chains = new PolicyRegistry();
  chains.register(definePolicy({ name: "stored", threshold: 0.9, candidates: () => ["sink(900)", all, "full"] }));
  const keys = "sink(900) | top(keyNorm, 10%)";
  chains.register(definePolicy({ name: "in-a-table", threshold: 0.9, candidates: () => [keys, all, "full"] }));
  // The second part is too short to be profiled: heads carry on with what they have.
  const read = async (session: Session): Promise<HeadCopy[][]> => {
    await write(session);
    await session.read([{ ids: ids.slice(0, 20), probe: null }]);
    return await cacheContents(model, session);
  };
  using session = model.createSession({ policy: all, interval: 4 });
  const expected = await read(session);
  for (const policy of ["stored", "in-a-table"]) {
    using other = open({ policy, registry: chains });
    const found = await read(other);
    const { plan, drift } = other.sequence.report();
    expect(new Set(plan.flat()).has(all), policy).toBe(false);
    expect(drift, policy).toEqual({ delayed: 0, upgraded: 0 });
    expected.flat().forEach(({ columns }, head) => {
      const mass = found.flat()[head]?.columns.mass ?? [];
      expect(mass).toHaveLength(columns.mass?.length ?? NaN);
      columns.mass?.forEach((value, slot) => {
        expect(Math.abs((mass[slot] ?? NaN) - value), policy).toBeLessThan(1e-4);
      });
    });
  }
});

test("with an interval of 1 every other token is a check's", async () => {
  using session = open({ interval: 1 });
  const { kv } = await write(session);
  expect(kv.drift?.delayed).toBeGreaterThan(0);
  expect(total(kv.slots)).toBeLessThan(
    total(session.sequence.layers.map(({ lengths }) => lengths.map(() => kv.tokens))),
  );
});

interface Outcome {
  readonly tokens: readonly number[];
  readonly logits: readonly number[];
  readonly kv: Pick<KvReport, "slots" | "plan" | "drift">;
}

async function outcomeOf(of: Model, session: Session, { tokens }: GenerationReport): Promise<Outcome> {
  await session.wake();
  const { slots, plan, drift } = session.sequence.report();
  return { tokens, logits: [...(await newestLogits(of, session))], kv: { slots, plan, drift } };
}

test("answers at the same time are to the bit what each is alone", async () => {
  const ways = [
    { policy: "hitters", interval: 4 },
    { policy: "windows", interval: 3 },
    { policy: "keys", interval: 5 },
    { policy: "hitters", interval: 1 },
    { policy: "fastgen", interval: 2, recovery: 0.7 },
    { policy: "fastgen", interval: 2, recovery: 0.7, drift: "ignore" },
  ] as const satisfies readonly SessionOptions[];
  const alone: Outcome[] = [];
  for (const way of ways) {
    using session = open(way);
    alone.push(await outcomeOf(model, session, await write(session)));
  }
  const found = await Promise.all(
    ways.map(async (way) => {
      using session = open(way);
      return await outcomeOf(model, session, await write(session));
    }),
  );
  expect(found).toEqual(alone);
  const counts = found.map(({ kv }) => kv.drift);
  expect(counts.filter((count) => count !== null && count.delayed > 0)).toHaveLength(ways.length - 1);
  expect(counts.filter((count) => count !== null && count.upgraded > 0).length).toBeGreaterThan(2);
});

test("an answer that is parked between a check and its sweep is to the bit what it is alone", async () => {
  const interval = 4;
  const options = { policy: "too-little", interval } as const;
  using quiet = open(options);
  const alone = await outcomeOf(model, quiet, await write(quiet));
  using busy = await loadModel(DEMO, { kvBudgetBytes: 2 ** 28 });
  const { admission } = busy.engine;
  const take = admission.take.bind(admission);
  let short = false;
  vi.spyOn(admission, "take").mockImplementation((need, then) => {
    if (!short) return take(need, then);
    short = false;
    return Promise.resolve(null);
  });
  using older = open(options, busy);
  using younger = open(options, busy);
  await older.read([{ ids, probe: null }]);
  await younger.read([{ ids, probe: null }]);
  const park = vi.spyOn(younger.sequence, "park");
  const read = async (session: Session, onToken: (count: number) => void): Promise<GenerationReport> => {
    const generation = session.generate([], ANSWER);
    let count = 0;
    for await (const _ of generation) onToken(++count);
    return await generation.report();
  };
  const reports = await Promise.all([
    read(older, () => undefined),
    // Behind this token comes a check, and then a round that has no room for everybody.
    read(younger, (count) => {
      short = count < ANSWER.maxTokens / 2 && count % interval === interval - 1;
    }),
  ]);
  expect(park.mock.calls.length).toBeGreaterThan(2);
  expect(await outcomeOf(busy, older, reports[0])).toEqual(alone);
  expect(await outcomeOf(busy, younger, reports[1])).toEqual(alone);
});

test("a session goes on from its file as it would have gone on, with the policies that its heads were given", async () => {
  const folder = mkdtempSync(join(tmpdir(), "winnow-drift-"));
  try {
    for (const maxTokens of [10, 13, 40]) {
      using session = open({});
      const { kv } = await write(session, { ...ANSWER, maxTokens });
      expect(kv.drift?.delayed).toBeGreaterThan(0);
      await saveSession(session, model, join(folder, "session"));
      const { session: restored } = await restoreSession(model, join(folder, "session"), { registry });
      using other = restored;
      expect(other.settings.policy.drift).toBe("upgrade");
      expect(other.kv).toEqual({ ...session.kv, peakBytes: other.kv?.peakBytes });
      expect(other.sequence.heads.flat().map(({ delays }) => delays)).toEqual(
        session.sequence.heads.flat().map(({ delays }) => delays),
      );
      const more = { ...ANSWER, maxTokens: 20 };
      const expected = await outcomeOf(model, session, await session.generate([], more).report());
      expect(await outcomeOf(model, other, await other.generate([], more).report())).toEqual(expected);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("a fork goes on as its origin, and each counts for itself", async () => {
  using session = open({});
  await write(session, { ...ANSWER, maxTokens: 14 });
  using fork = await session.fork();
  expect(fork.kv?.drift).toEqual(session.kv?.drift);
  const before = session.kv?.drift;
  const more = { ...ANSWER, maxTokens: 20 };
  const expected = await outcomeOf(model, session, await session.generate([], more).report());
  expect(fork.kv?.drift).toEqual(before);
  expect(await outcomeOf(model, fork, await fork.generate([], more).report())).toEqual(expected);
});

test("a later turn goes on with what heads were given", async () => {
  using session = open({});
  const { kv } = await write(session);
  await session.read([{ ids: ids.slice(0, 20), probe: null }]);
  expect(session.kv?.plan).toEqual(kv.plan);
  expect(session.kv?.drift).toEqual(kv.drift);
  const { kv: after } = await session.generate([], ANSWER).report();
  const place = (plan: string | undefined): number => (DRIFT_CHAINS.hitters ?? []).findIndex((text) => text === plan);
  after.plan.flat().forEach((plan, head) => {
    expect(place(plan)).toBeGreaterThanOrEqual(place(kv.plan.flat()[head]));
  });
});

test("an answer that is left, aborted or closed leaves nothing behind", async () => {
  const { backend, store } = model.engine;
  const now = () => ({ pages: store.livePages, labels: backend.memory.byLabel() });
  const before = now();
  // Between a check and its sweep, and behind a sweep.
  for (const stop of [3, 4, 5, 7, 8]) {
    for (const end of ["left", "aborted", "closed"] as const) {
      using session = open({});
      const abort = new AbortController();
      let tokens = 0;
      const answer = async (): Promise<void> => {
        for await (const _ of session.generate([{ ids, probe: null }], { ...ANSWER, signal: abort.signal })) {
          if (++tokens < stop) continue;
          if (end === "left") break;
          if (end === "aborted") abort.abort();
          else session[Symbol.dispose]();
        }
      };
      if (end === "closed") await expect(answer()).rejects.toMatchObject({ code: "disposed" });
      else await answer();
      if (end === "aborted") await session.generate([], { ...ANSWER, maxTokens: 9 }).report();
      session[Symbol.dispose]();
      expect(now(), `${end} after ${stop} tokens`).toEqual(before);
    }
  }
});

test.each([
  ["adaptive", /drift of upgrade beside the policy "adaptive", which keeps what is generated.*use fastgen/],
  ["sink(2) | recent(30%)", /which has no candidates that a threshold chooses from.*use fastgen/],
  ["ada-kv", /beside the policy "ada-kv", which keeps what is generated/],
  ["full", /beside the policy "full", which keeps what is generated/],
])("a drift of upgrade beside %s is refused by name", (policy, message) => {
  expect(() => open({ policy })).toThrow(message);
  expect(() => open({ policy })).toThrow(expect.objectContaining({ code: "usage" }) as Error);
  open({ policy, drift: "ignore" })[Symbol.dispose]();
});
