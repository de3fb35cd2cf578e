import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";

import { loadModel, type Model } from "../model";
import { openBackend } from "../open-backend";
import { guessing } from "../testing/draft-finders";
import { DRIFT_PROMPT, driftRegistry } from "../testing/drift-chains";
import { DEMO } from "../testing/models";
import { answered } from "../testing/speculation-suite";

describe.skipIf(process.env.WINNOW_NO_GPU !== undefined)("guessed tokens on WebGPU", () => {
  let model: Model;

  beforeAll(async () => {
    vi.spyOn(process, "emitWarning").mockReturnValue();
    model = await loadModel(DEMO, { backend: await openBackend("webgpu"), pageSlots: 8 });
  });

  afterAll(() => {
    model[Symbol.dispose]();
    vi.restoreAllMocks();
  });

  test.each([
    ["full", {}],
    ["adaptive", {}],
    ["fastgen", {}],
    ["heavy-hitter", {}],
    // A chain of candidates whose slots are put into a table.
    ["keys", { drift: "upgrade", registry: driftRegistry() }],
  ] as const)("answer as without them, with %s", async (policy, more) => {
    const ids = model.tokenizer.encode(DRIFT_PROMPT, { addSpecial: false });
    const asked = {
      session: { policy, interval: 6, ...more },
      prompts: [ids, ids.slice(-6)],
      options: { maxTokens: 30, ignoreEos: true, temperature: 0 },
    };
    const usual = await answered(model, asked, null);
    for (const how of ["lookup", "prophet"] as const) {
      const drafting = guessing(how, 4, usual.tokens, model.config.vocabulary);
      const { answers, speculation } = await answered(model, asked, drafting);
      for (const [i, { tokens, kv, logits }] of answers.entries()) {
        const expected = usual.answers[i];
        expect(tokens).toEqual(expected?.tokens);
        expect(kv).toEqual(expected?.kv);
        const most = Math.max(...logits.map((logit, token) => Math.abs(logit - (expected?.logits[token] ?? NaN))));
        expect(most).toBeLessThan(0.02);
      }
      expect(speculation[0]?.accepted).toBeGreaterThan(5);
    }
    expect(model.engine.store.livePages).toBe(0);
  });
});
