import { describe, expect, test } from "vitest";

import { loadModel } from "../model";
import { openBackend, type BackendName } from "../open-backend";
import { idsPart } from "../prompt/parts";
import { DRIFT_PROMPT, driftRegistry } from "../testing/drift-chains";
import { DEMO } from "../testing/models";
import { goldenIds } from "../testing/prompts";
import { rowLogits } from "../testing/row-logits";
import { Comparison } from "./compare";

const backends: readonly BackendName[] = process.env.WINNOW_NO_GPU === undefined ? ["cpu", "webgpu"] : ["cpu"];
const IDS = goldenIds("demo", 200);
const [PROMPT, BEFORE] = [IDS.slice(0, 110), IDS.slice(110, 120)];
/** On the CPU long enough for two steps. */
const answerOn = (name: BackendName): readonly number[] => IDS.slice(120, name === "cpu" ? 190 : 140);
const WAYS = [
  { policy: "full" },
  { policy: "adaptive", target: 0.5 },
  { policy: "heavy-hitter", target: 0.5, interval: 7 },
  { policy: "snapkv", target: 0.6 },
  { policy: "kvzip", target: 0.5 },
];

describe.each(backends)("a comparison on %s", (name) => {
  test("follows an answer as sessions do that read it token by token", async () => {
    using model = await loadModel(DEMO, { backend: await openBackend(name), kvType: "f32" });
    const answer = answerOn(name);
    const part = idsPart(model.tokenizer, PROMPT);
    using comparison = await Comparison.read(model, part, WAYS);
    const whole = await rowLogits(model, IDS);
    for (const [way, options] of WAYS.entries()) {
      using cut = await comparison.cut(way);
      const { slots, bytes, fullBytes, allocatedBytes } = cut.size;
      const { layers, kvHeads, headDim } = model.config;
      expect(fullBytes).toBe(PROMPT.length * layers * kvHeads * 4 * headDim);
      expect(bytes).toBeLessThanOrEqual((options.target ?? 1) * fullBytes);
      expect(bytes).toBeGreaterThanOrEqual(slots * 4 * headDim);
      expect(allocatedBytes).toBe(cut.sequence.bytes);
      const found = await cut.follow(BEFORE, answer);
      expect(found).toHaveLength(answer.length);

      using session = model.createSession(options);
      await session.read([part]);
      await session.read([{ ids: BEFORE, probe: null }]);
      for (const [i, id] of answer.entries()) {
        const expected =
          way === 0
            ? whole[PROMPT.length + BEFORE.length + i - 1]
            : await model.engine.backend.download(session.sequence.logits);
        // Sweeps come behind other rows where tokens are read one by one, so only what is never swept has to be the same.
        if (options.policy !== "heavy-hitter") expectClose(found[i], expected);
        if (way !== 0) await session.read([{ ids: [id], probe: null }]);
      }
    }
    const before = model.engine.backend.memory.snapshot().total;
    for (const way of [1, 2]) {
      using written = await comparison.cut(way);
      using session = model.createSession(WAYS[way]);
      await session.read([part]);
      const own = { temperature: 0, maxTokens: 12 };
      const expected = await session.generate([{ ids: BEFORE, probe: null }], own).report();
      expect((await written.write(BEFORE, { maxTokens: 12 })).tokens).toEqual(expected.tokens);
    }
    if (name === "cpu") expect(model.engine.backend.memory.snapshot().total).toBe(before);
    using cut = await comparison.cut(0);
    const kept = (await cut.positions()).flat();
    expect(kept.map((positions) => Array.from(positions))).toEqual(kept.map(() => [...PROMPT.keys()]));
    const [first] = await cut.follow([], answer);
    expectClose(first, whole[PROMPT.length - 1]);
    await expect(comparison.cut(9)).rejects.toThrow("way 9 is asked for");
  });
});

test.each([[[]], [BEFORE]])(
  "a cut that follows an answer checks for drift as a session that writes it",
  async (before) => {
    using model = await loadModel(DEMO, { backend: await openBackend("cpu") });
    const part = idsPart(model.tokenizer, model.tokenizer.encode(DRIFT_PROMPT, { addSpecial: false }));
    const way = { policy: "hitters", interval: 4, registry: driftRegistry() };
    const ways = [way, { ...way, drift: "upgrade" }] as const;
    using comparison = await Comparison.read(model, part, ways);
    for (const [number, options] of ways.entries()) {
      using session = model.createSession(options);
      await session.read([part]);
      const parts = before.length === 0 ? [] : [{ ids: before, probe: null }];
      const own = { temperature: 0, maxTokens: 40, ignoreEos: true };
      const { tokens, kv } = await session.generate(parts, own).report();
      using cut = await comparison.cut(number);
      const rows = await cut.follow(before, tokens);
      expect(rows.map((logits) => logits.indexOf(Math.max(...logits)))).toEqual(tokens);
      const { drift, plan, slots } = cut.sequence.report();
      expect({ drift, plan }).toEqual({ drift: kv.drift, plan: kv.plan });
      if (number === 0) continue;
      expect(slots).toEqual(kv.slots);
      expect(drift?.upgraded).toBeGreaterThan(0);
    }
  },
);

test("a cut tells the positions that it left", async () => {
  using model = await loadModel(DEMO, { backend: await openBackend("cpu") });
  const part = idsPart(model.tokenizer, PROMPT);
  using comparison = await Comparison.read(model, part, [{ policy: "sink(3) | recent(20)" }]);
  using cut = await comparison.cut(0);
  const expected = [...PROMPT.keys()].filter((position) => position < 3 || position >= PROMPT.length - 20);
  for (const layer of await cut.positions())
    for (const positions of layer) expect(Array.from(positions)).toEqual(expected);
});

function expectClose(found: Float32Array | undefined, expected: ArrayLike<number> | undefined): void {
  const most = 2e-3 * Math.max(...Array.from(expected ?? [NaN], Math.abs));
  Array.from(expected ?? [NaN]).forEach((logit, token) => {
    expect(Math.abs((found?.[token] ?? NaN) - logit)).toBeLessThan(most);
  });
}
