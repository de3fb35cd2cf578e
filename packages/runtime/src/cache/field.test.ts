import { FIELD } from "@winnow/kv-policies";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { loadModel, type Model } from "../model";
import { openBackend, type BackendName } from "../open-backend";
import { idsPart } from "../prompt/parts";
import { DEMO } from "../testing/models";
import { goldenIds } from "../testing/prompts";

const backends: readonly BackendName[] = process.env.WINNOW_NO_GPU === undefined ? ["cpu", "webgpu"] : ["cpu"];
const IDS = goldenIds("demo", 160);
const policies = [
  "sink+recent",
  "heavy-hitter",
  ...FIELD.flatMap(({ kind, name }) => (kind === "statistic" ? [] : [name])),
];

describe.each(backends)("the field's policies on %s", (name) => {
  let model: Model;

  beforeAll(async () => {
    model = await loadModel(DEMO, { backend: await openBackend(name), kvType: "f32" });
  });
  afterAll(() => {
    model[Symbol.dispose]();
  });

  test.each(policies)("%s meets a target, frees what it drops and answers on", async (policy) => {
    const { layers, kvHeads, headDim } = model.config;
    const full = IDS.length * layers * kvHeads * 4 * headDim;
    const found: number[] = [];
    for (const target of [0.3, 0.6]) {
      using session = model.createSession({ policy, target, interval: 4 });
      await session.read([idsPart(model.tokenizer, IDS)]);
      const { sequence } = session;
      const counted = sequence.layers.flatMap((layer) =>
        layer.lengths.map((slots, head) => slots * (4 * headDim + 4 * layer.columnsOf(head).length)),
      );
      const bytes = counted.reduce((a, b) => a + b, 0);
      expect(bytes).toBeLessThanOrEqual(target * full);
      // A step more, which is up to four slots in each head, would be over it.
      expect(bytes).toBeGreaterThan(target * full - 4 * layers * kvHeads * (4 * headDim + 24));
      found.push(bytes);
      const pages = sequence.layers.flatMap(({ lengths }) => lengths.map((slots) => Math.ceil(slots / 16)));
      const pageBytes = 2 * 16 * headDim * 4;
      expect(sequence.bytes).toBeGreaterThanOrEqual(pages.reduce((a, b) => a + b, 0) * pageBytes);
      expect(sequence.report().bytes).toBeLessThan(sequence.report().fullBytes);
      const { tokens } = await session.generate([], { maxTokens: 10, ignoreEos: true }).report();
      expect(tokens).toHaveLength(10);
    }
    expect(found[0]).toBeLessThan(found[1] ?? 0);
  });
});
