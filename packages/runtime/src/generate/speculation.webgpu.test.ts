import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";

import { temporaryDirectory } from "../files/testing/temporary-directory";
import { loadModel, type Model } from "../model";
import { openBackend } from "../open-backend";
import { guessing } from "../testing/draft-finders";
import { DRIFT_PROMPT, driftRegistry } from "../testing/drift-chains";
import { DEMO } from "../testing/models";
import { goldenIds } from "../testing/prompts";
import { randomModel } from "../testing/random-model";
import { answered } from "../testing/speculation-suite";

const at = temporaryDirectory();

describe.skipIf(process.env.WINNOW_NO_GPU !== undefined).each(["f16", "q8"] as const)(
  "guessed tokens on WebGPU, over a cache in %s",
  (kvType) => {
    let model: Model;

    beforeAll(async () => {
      vi.spyOn(process, "emitWarning").mockReturnValue();
      model = await loadModel(DEMO, { backend: await openBackend("webgpu"), kvType, pageSlots: 8 });
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
    ] as const)("answer to the bit as without them, with %s", async (policy, more) => {
      const ids = model.tokenizer.encode(DRIFT_PROMPT, { addSpecial: false });
      const asked = {
        session: { policy, interval: 6, ...more },
        prompts: [ids, ids.slice(-6)],
        options: { maxTokens: 30, ignoreEos: true, temperature: 0 },
      };
      const usual = await answered(model, asked, null);
      // Seven guesses and the token before them fill a step.
      for (const [how, most] of [
        ["lookup", 4],
        ["prophet", 4],
        ["prophet", 7],
      ] as const) {
        const drafting = guessing(how, most, usual.tokens, model.config.vocabulary);
        const { answers, speculation } = await answered(model, asked, drafting);
        expect(answers).toEqual(usual.answers);
        expect(speculation[0]?.accepted).toBeGreaterThan(5);
      }
      expect(model.engine.store.livePages).toBe(0);
    });
  },
);

test.skipIf(process.env.WINNOW_NO_GPU !== undefined)(
  "guessed tokens on WebGPU answer to the bit as without them behind windows, whose layers many query heads share",
  async () => {
    const folder = at("windowed");
    const path = await randomModel(folder, {
      architectures: ["Gemma2ForCausalLM"],
      sliding_window: 24,
      attn_logit_softcapping: 8,
      num_attention_heads: 8,
      num_key_value_heads: 1,
    });
    using model = await loadModel(path, { backend: await openBackend("webgpu"), pageSlots: 8 });
    const ids = [...goldenIds("demo", 30), ...goldenIds("demo", 12)];
    const asked = {
      session: { interval: 6 },
      prompts: [ids, ids.slice(-6)],
      options: { maxTokens: 20, ignoreEos: true },
    };
    const usual = await answered(model, asked, null);
    const { answers, speculation } = await answered(
      model,
      asked,
      guessing("prophet", 7, usual.tokens, model.config.vocabulary),
    );
    expect(answers).toEqual(usual.answers);
    expect(speculation[0]?.accepted).toBeGreaterThan(3);
  },
);
