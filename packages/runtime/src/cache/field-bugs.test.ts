import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { WinnowError } from "@winnow/core-tensor";
import type { HeadPlan } from "@winnow/profiler";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";

import { loadModel, type Model } from "../model";
import type { DecoderWeights } from "../models/decoder";
import { idsPart } from "../prompt/parts";
import type { PromptPart } from "../prompt/prompt-part";
import type { SessionOptions } from "../session/session-options";
import { newestLogits } from "../testing/cache-contents";
import { TOLERANCE } from "../testing/goldens";
import { DEMO, TINY } from "../testing/models";
import { NaiveDecoder, type Sight } from "../testing/naive-decoder";
import { goldenIds } from "../testing/prompts";

const DAMAGED = "model.layers.1.self_attn.k_proj.weight";
const headerSchema = z.object({ [DAMAGED]: z.object({ data_offsets: z.tuple([z.int(), z.int()]) }) });

const PREFIX = 24;
const SUFFIX = 10;
const PROMPT = PREFIX + SUFFIX;
const STEPS = 6;

/** Whether a policy keeps a position when the newest is `now`. */
type Keeps = (position: number, now: number) => boolean;

const KEEPS: Readonly<Record<string, Keeps>> = {
  full: () => true,
  none: () => false,
  "every(3)": (position) => position % 3 === 0,
  "recent(6)": (position, now) => now - position < 6,
  "sink(4) | recent(6)": (position, now) => position < 4 || now - position < 6,
};

const keeps = (policy: string, position: number, now: number): boolean => KEEPS[policy]?.(position, now) ?? false;

/** Where the part begins that a row is read with: the prompt has two, and each generated token is one. */
const partOf = (row: number): number => (row < PREFIX ? 0 : row < PROMPT ? PREFIX : row);

/** A row sees its own part up to itself, and of what came before what the cuts up to then have kept. */
const sightOf = (policyOf: (layer: number, head: number) => string): Sight["sees"] => {
  return (layer, head, row, column) =>
    column <= row && (column >= partOf(row) || keeps(policyOf(layer, head), column, partOf(row) - 1));
};

describe.each([
  { name: "demo", dir: DEMO },
  { name: "tiny", dir: TINY },
] as const)("the $name model against one without a cache", ({ name, dir }) => {
  const ids = goldenIds(name, PROMPT);
  let model: Model;
  let naive: NaiveDecoder;

  beforeAll(async () => {
    model = await loadModel(dir);
    naive = await NaiveDecoder.of(model);
  });

  afterAll(() => {
    model[Symbol.dispose]();
  });

  /** The logits behind the prompt's two parts and behind each generated token, and all tokens that led to them. */
  async function run(options: SessionOptions, parts = [ids.slice(0, PREFIX), ids.slice(PREFIX)]) {
    using session = model.createSession({ interval: 1, ...options });
    const logits: (Float32Array | Uint32Array)[] = [];
    const prompt = parts.map((part) => ({ ids: part, probe: null }));
    for await (const event of session.generate(prompt, { maxTokens: STEPS, ignoreEos: true, temperature: 0 })) {
      if (event.kind === "token") logits.push(await newestLogits(model, session));
    }
    return { logits, tokens: session.tokens.slice(0, -1), slots: session.sequence.report().slots };
  }

  /** The greatest difference from what a sight gives, as a share of the greatest logit. */
  function farFrom({ logits, tokens }: Awaited<ReturnType<typeof run>>, sight: Sight): number {
    const expected = naive.logits(tokens, tokens.length - logits.length, sight);
    expect(expected).toHaveLength(logits.length);
    const differences = expected.flatMap((row, i) =>
      [...row].map((logit, id) => Math.abs(logit - (logits[i]?.[id] ?? NaN))),
    );
    return Math.max(...differences) / Math.max(...expected.flatMap((row) => [...row].map(Math.abs)));
  }

  test("positions are true ones, not counts of what is kept", async () => {
    const found = await run({ policy: "sink(4) | recent(6)" });
    const sees = sightOf(() => "sink(4) | recent(6)");
    expect(farFrom(found, { sees })).toBeLessThan(TOLERANCE.logits);
    const positionOf = (row: number): number => (row < PREFIX ? row : 10 + row - partOf(row));
    expect(farFrom(found, { sees, positionOf })).toBeGreaterThan(10 * TOLERANCE.logits);
  });

  test("what a token evicts, it has attended to", async () => {
    const found = await run({ policy: "recent(6)" });
    const sees = sightOf(() => "recent(6)");
    expect(farFrom(found, { sees })).toBeLessThan(TOLERANCE.logits);
    const evictedFirst: Sight["sees"] = (layer, head, row, column) =>
      sees(layer, head, row, column) && (row < PROMPT || keeps("recent(6)", column, row));
    expect(farFrom(found, { sees: evictedFirst })).toBeGreaterThan(10 * TOLERANCE.logits);
  });

  test("a part's rows see gaps before them, and nothing after them", async () => {
    const found = await run({ policy: "every(3)" });
    const sees = sightOf(() => "every(3)");
    expect(farFrom(found, { sees })).toBeLessThan(TOLERANCE.logits);
    const bySlot: Sight["sees"] = (layer, head, row, column) =>
      sees(layer, head, row, column) || (partOf(row) === PREFIX && partOf(column) === PREFIX);
    expect(farFrom(found, { sees: bySlot })).toBeGreaterThan(10 * TOLERANCE.logits);
  });

  test("every head goes by its own policy", async () => {
    const policies = Object.keys(KEEPS);
    const policyOf = (layer: number, head: number): string => policies[(layer * 3 + head) % policies.length] ?? "";
    const { layers, kvHeads } = model.config;
    const plan: HeadPlan = {
      format: "winnow-head-plan",
      version: 1,
      model: model.fingerprint,
      policy: "by hand",
      recovery: null,
      rows: "prompt",
      generated: "sweep",
      heads: Array.from({ length: layers }, (_, l) => Array.from({ length: kvHeads }, (_, h) => policyOf(l, h))),
    };
    const found = await run({ plan });
    expect(farFrom(found, { sees: sightOf(policyOf) })).toBeLessThan(TOLERANCE.logits);
    const shifted = sightOf((layer, head) => policyOf(layer, (head + 1) % kvHeads));
    expect(farFrom(found, { sees: shifted })).toBeGreaterThan(10 * TOLERANCE.logits);
  });

  test("a head with no slot left sees the token itself", async () => {
    const found = await run({ policy: "none" });
    expect(farFrom(found, { sees: sightOf(() => "none") })).toBeLessThan(TOLERANCE.logits);
    expect(found.slots.flat().every((length) => length === 0)).toBe(true);
  });

  test("without all of what came before, a text is read as if it stood alone", async () => {
    const behind = await run({ policy: "none" });
    const alone = await run({ policy: "none" }, [ids.slice(PREFIX)]);
    expect(behind.tokens.slice(PREFIX)).toEqual(alone.tokens);
    const greatest = Math.max(...alone.logits.flatMap((row) => [...row].map(Math.abs)));
    alone.logits.forEach((row, i) => {
      const differences = [...row].map((logit, id) => Math.abs(logit - (behind.logits[i]?.[id] ?? NaN)));
      expect(Math.max(...differences)).toBeLessThan(TOLERANCE.logits * greatest);
    });
  });

  test.each(["full", "fastgen", "adaptive", "heavy-hitter", "sink+recent", "none"])(
    "a prompt of one token is read and answered with %s",
    async (policy) => {
      using session = model.createSession({ policy, interval: 1 });
      let logits: Float32Array | Uint32Array = new Float32Array(0);
      const { tokens, finishReason } = await session
        .generate([idsPart(model.tokenizer, ids.slice(0, 1))], {
          maxTokens: 4,
          ignoreEos: true,
          temperature: 0,
          onPromptRead: async () => {
            logits = await newestLogits(model, session);
          },
        })
        .report();
      const found = { logits: [logits], tokens: ids.slice(0, 1), slots: [] };
      expect(farFrom(found, { sees: () => true })).toBeLessThan(TOLERANCE.logits);
      expect(tokens).toHaveLength(4);
      expect(finishReason).toBe("length");
    },
  );
});

describe("the tiny model", () => {
  const ids = goldenIds("tiny", 1024);
  const folder = mkdtempSync(join(tmpdir(), "winnow-field-bugs-"));
  let model: Model;

  beforeAll(async () => {
    model = await loadModel(TINY);
  });

  afterAll(() => {
    model[Symbol.dispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  const part = (count: number): PromptPart => ({ ids: ids.slice(0, count), probe: null });

  test("a budget is what is kept, of the prompt and of all that follows", async () => {
    for (const percent of [1, 10, 33, 50, 90]) {
      using session = model.createSession({ policy: `frequent(${percent}%)`, interval: 1 });
      const budget = (): number => Math.ceil((percent / 100) * session.sequence.tokens.length);
      let drawn = 0;
      for await (const _ of session.generate([part(150)], { maxTokens: 30, ignoreEos: true })) {
        // Until the last one, the token just drawn is read already; the next sweep counts it.
        const ahead = ++drawn < 30 ? 1 : 0;
        expect(new Set(session.sequence.layers.flatMap(({ lengths }) => lengths))).toEqual(new Set([budget() + ahead]));
      }
    }
    for (const count of [1, 40, 149]) {
      using session = model.createSession({ policy: `limit(punctuation | recent(149), ${count}, by age)` });
      await session.read([part(150)]);
      expect(new Set(session.sequence.report().kept.flat())).toEqual(new Set([count]));
    }
  });

  test("a higher T never keeps less, and makes a difference", async () => {
    for (const policy of ["fastgen", "adaptive"]) {
      const kept: number[][] = [];
      for (const recovery of [0.3, 0.6, 0.8, 0.95, 1]) {
        using session = model.createSession({ policy, recovery });
        await session.read([idsPart(model.tokenizer, ids.slice(0, 150))]);
        kept.push(session.sequence.report().kept.flat());
      }
      kept.slice(1).forEach((slots, i) => {
        expect(slots.every((count, head) => count >= (kept[i]?.[head] ?? NaN))).toBe(true);
      });
      expect(new Set(kept.map(String)).size).toBeGreaterThan(2);
    }
  });

  test("what is evicted is freed: pages, buffers of the device, and what attention has to read", async () => {
    const { store, backend } = model.engine;
    const held = async (policy: string) => {
      using session = model.createSession({ policy });
      await session.read([part(600)]);
      const slots = session.sequence.layers.flatMap(({ lengths }) => lengths);
      return { pages: store.livePages, kv: backend.memory.snapshot().kv, slots: Math.max(...slots) };
    };
    const full = await held("full");
    const cut = await held("sink+recent(4, 60)");
    expect(full.slots).toBe(600);
    expect(cut.slots).toBe(64);
    expect(cut.pages).toBeLessThan(full.pages / 4);
    expect(cut.kv).toBeLessThan(full.kv / 1.5);
  });

  test("an empty prompt is refused, and the session goes on", async () => {
    using session = model.createSession({ policy: "fastgen" });
    const empty = { code: "prompt" };
    await expect(session.read([])).rejects.toMatchObject(empty);
    await expect(session.read([part(0)])).rejects.toMatchObject(empty);
    await expect(session.generate([part(4), part(0)]).report()).rejects.toMatchObject(empty);
    expect(session.tokens).toEqual([]);
    const { tokens } = await session.generate([part(20)], { maxTokens: 3, ignoreEos: true }).report();
    using other = model.createSession({ policy: "fastgen" });
    expect((await other.generate([part(20)], { maxTokens: 3, ignoreEos: true }).report()).tokens).toEqual(tokens);
  });

  test.each(["full", "fastgen", "sink+recent", "none"])(
    "an answer that uses the context up ends with length, with %s",
    async (policy) => {
      for (const room of [4, 1, 0]) {
        using session = model.createSession({ policy });
        const { tokens, finishReason } = await session.generate([part(1024 - room)], { ignoreEos: true }).report();
        expect({ count: tokens.length, finishReason }).toEqual({ count: room, finishReason: "length" });
        await expect(session.read([part(1)])).rejects.toMatchObject({ code: "context" });
      }
    },
  );

  test("a weight that is not a number is found when it is loaded, and named", async () => {
    const damaged = join(folder, "model");
    cpSync(TINY, damaged, { recursive: true });
    const file = join(damaged, "model.safetensors");
    const bytes = readFileSync(file);
    const dataStart = 8 + Number(bytes.readBigUInt64LE(0));
    const header: unknown = JSON.parse(bytes.toString("utf8", 8, dataStart));
    const [start] = headerSchema.parse(header)[DAMAGED].data_offsets;
    for (const bits of [0x7fc0, 0x7f80, 0xff80]) {
      const broken = Buffer.from(bytes);
      broken.writeUInt16LE(bits, dataStart + start + 2 * 37);
      writeFileSync(file, broken);
      const message = await numericError(loadModel(damaged));
      expect(message).toContain(`model.safetensors: tensor "${DAMAGED}" has a value at element 37 `);
    }
  });

  describe.each([
    { where: "before the head", element: "last", weight: ({ norm }: DecoderWeights) => norm },
    {
      where: "in a layer's values",
      element: "last",
      weight: ({ layers }: DecoderWeights) => layers[0]?.qkv[0]?.weight,
    },
    {
      where: "in a layer's queries",
      element: "first",
      weight: ({ layers }: DecoderWeights) => layers[0]?.qkv[0]?.weight,
    },
  ] as const)("logits that are not numbers, from a weight $where", ({ element, weight }) => {
    /** The weight, to be overwritten; it is sound again when disposed of. */
    async function fragile(): Promise<Disposable & { shatter(): void }> {
      const { backend, decoder } = model.engine;
      const tensor = weight(decoder.weights);
      if (tensor === undefined) throw new Error("no such weight");
      const at = element === "last" ? tensor.bytes / 4 - 1 : 0;
      const sound = await backend.download(tensor, at, 1);
      return {
        shatter: () => {
          backend.write(tensor, Float32Array.of(NaN), at);
        },
        [Symbol.dispose]: () => {
          backend.write(tensor, sound, at);
        },
      };
    }

    test.each(["full", "fastgen", "adaptive", "heavy-hitter"])(
      "end %s with an error that names the place",
      async (policy) => {
        using glass = await fragile();
        glass.shatter();
        using session = model.createSession({ policy });
        const prompt = [idsPart(model.tokenizer, ids.slice(0, 40))];
        const message = await numericError(session.generate(prompt, { maxTokens: 3 }).report());
        expect(message).toMatch(/^the (logits at position 40|attention weights of layer \d) are not numbers;/);
      },
    );

    test("end an answer at the token where they appear, and the session goes on from before it once they are numbers", async () => {
      using session = model.createSession({ policy: "full" });
      await session.read([part(9)]);
      const options = { maxTokens: 5, ignoreEos: true };
      const answer = async (): Promise<void> => {
        using glass = await fragile();
        for await (const _ of session.generate([part(40)], options))
          if (session.sequence.tokens.length === 51) glass.shatter();
      };
      // The row of the token drawn then had been enqueued before.
      expect(await numericError(answer())).toContain("position 53");
      expect(session.tokens).toEqual(part(9).ids);
      using fresh = model.createSession({ policy: "full" });
      const whole = { ids: [...session.tokens, ...part(5).ids], probe: null };
      const { tokens } = await session.generate([part(5)], options).report();
      expect((await fresh.generate([whole], options).report()).tokens).toEqual(tokens);
    });
  });
});

/** The message of a numeric error, which the work has to end with. */
async function numericError(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (error instanceof WinnowError && error.code === "numeric") return error.message;
  throw new Error(`expected a numeric error, not ${String(error)}`);
}
