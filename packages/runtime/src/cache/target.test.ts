import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { idsPart } from "../prompt/parts";
import { loadModel, type Model } from "../model";
import { openBackend, type BackendName } from "../open-backend";
import { resolveSession } from "../session/resolve-policy";
import type { SessionOptions } from "../session/session-options";
import { newestLogits } from "../testing/cache-contents";
import { DEMO } from "../testing/models";
import { goldenIds } from "../testing/prompts";
import { ObservedPrompt } from "./observed-prompt";
import type { Sequence } from "./sequence";

const backends: readonly BackendName[] = process.env.WINNOW_NO_GPU === undefined ? ["cpu", "webgpu"] : ["cpu"];
const IDS = goldenIds("demo", 120);

describe.each(backends)("a target in bytes, on %s", (name) => {
  let model: Model;

  beforeAll(async () => {
    model = await loadModel(DEMO, { backend: await openBackend(name), kvType: "f32" });
  });
  afterAll(() => {
    model[Symbol.dispose]();
  });

  const part = () => idsPart(model.tokenizer, IDS);

  async function read(options: SessionOptions) {
    using session = model.createSession(options);
    await session.read([part()]);
    return { ...stateOf(session.sequence), logits: await newestLogits(model, session) };
  }

  /** What a target counts of a sequence: slots in halves, and what is stored beside them. */
  function countedBytes(sequence: Sequence): number {
    const { headDim } = model.config;
    return sequence.layers
      .flatMap((layer) => layer.lengths.map((slots, head) => slots * (4 * headDim + 4 * layer.columnsOf(head).length)))
      .reduce((sum, bytes) => sum + bytes, 0);
  }

  function stateOf(sequence: Sequence) {
    const { kept, slots, plan, recovery } = sequence.report();
    return { kept, slots, plan, recovery, bytes: countedBytes(sequence), fitted: sequence.fitted };
  }

  const fullBytes = () => IDS.length * model.config.layers * model.config.kvHeads * 4 * model.config.headDim;

  test.each([
    ["fastgen", 0.75],
    ["fastgen", 0.6],
  ])("is met by the T of %s at %s, and the next T is over it", async (policy, target) => {
    const fitted = await read({ policy, target });
    if (fitted.fitted?.kind !== "recovery") throw new Error("no T was fitted");
    const { recovery } = fitted.fitted;
    expect(fitted.bytes).toBeLessThanOrEqual(target * fullBytes());
    // The same T, layer by layer, is the same cut; then comes the least T that some head's candidate has beyond it.
    const same = await read({ policy, recovery });
    expect(same).toEqual({ ...fitted, fitted: null });
    const next = await read({ policy, recovery: Math.min(1, recovery + 1e-6) });
    expect(next.bytes).toBeGreaterThan(target * fullBytes());
  });

  test("is refused where nothing can be turned, and beside a recovery", () => {
    expect(() => model.createSession({ policy: "full", target: 0.5 })).toThrow("keeps what it keeps");
    expect(() => model.createSession({ target: 0 })).toThrow("(0, 1]");
    expect(() => model.createSession({ policy: "top(hits, 30%)" })).toThrow(
      'ranks by "hits", which is known of a token only',
    );
    expect(() => model.createSession({ policy: "top(expectedMass, 9)" })).toThrow('ranks by "queries"');
    expect(() => model.createSession({ target: 0.5, recovery: 0.9 })).toThrow("a target and a recovery are both given");
  });

  test("a prompt that was read once is cut as if it had been read for each policy", async () => {
    const asked: readonly SessionOptions[] = [
      { policy: "full" },
      { policy: "fastgen" },
      { policy: "adaptive" },
      { policy: "heavy-hitter" },
      { policy: "top(windowMass, 20%) | sink(4)" },
      { policy: "top(-keyDiff, 20%)", rows: "late" },
      { policy: "adaptive", target: 0.4 },
      { policy: "fastgen", target: 0.5 },
    ];
    const policies = asked.map((options) => resolveSession(options, model).policy);
    const cutAll = async (): Promise<void> => {
      using observed = await ObservedPrompt.read(model.engine, policies, IDS, part().probe);
      for (const [i, options] of asked.entries()) {
        const policy = policies[i];
        if (policy === undefined) continue;
        using cut = await observed.cut(policy);
        const { logits, ...expected } = await read(options);
        expect(stateOf(cut), JSON.stringify(options)).toEqual(expected);
        expect([...(await model.engine.backend.download(cut.logits))]).toEqual([...logits]);
      }
    };
    await cutAll();
    const before = model.engine.backend.memory.snapshot().total;
    await cutAll();
    expect(model.engine.backend.memory.snapshot().total).toBe(before);
  });
});
