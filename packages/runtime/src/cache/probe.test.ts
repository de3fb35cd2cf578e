import { profiledRows } from "@winnow/profiler";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import type { KvReport } from "../generate/report";
import { loadModel, type Model } from "../model";
import { idsPart, withProbe } from "../prompt/parts";
import type { PromptPart } from "../prompt/prompt-part";
import { resolveSession } from "../session/resolve-policy";
import type { SessionOptions } from "../session/session-options";
import { cacheContents, newestLogits, positionsOf } from "../testing/cache-contents";
import { DEMO, TINY } from "../testing/models";
import { goldenIds } from "../testing/prompts";
import { cutDecision } from "./cut-decision";
import { CutJudge } from "./cut-judge";
import type { HeadCopy } from "./head-copy";
import { LayerCut } from "./layer-cut";
import { readPrompt } from "./read-prompt";
import { Sequence } from "./sequence";

interface Outcome {
  readonly tokens: readonly number[];
  readonly source: string;
  readonly kv: Pick<KvReport, "bytes" | "kept" | "slots">;
  readonly logits: Float32Array | Uint32Array;
  readonly cache: HeadCopy[][];
  readonly pages: number;
}

describe.each([
  { name: "demo", dir: DEMO, count: 150 },
  { name: "tiny", dir: TINY, count: 300 },
] as const)("a probe over a prompt of the $name model", ({ name, dir, count }) => {
  const ids = goldenIds(name, 1000);
  const prompt = ids.slice(0, count);
  let model: Model;
  let full: Outcome;

  beforeAll(async () => {
    model = await loadModel(dir);
    full = await run({ policy: "full" }, [{ ids: prompt, probe: null }]);
  });

  afterAll(() => {
    model[Symbol.dispose]();
  });

  async function run(options: SessionOptions, parts: readonly PromptPart[]): Promise<Outcome> {
    using session = model.createSession({ interval: 1, ...options });
    let logits: Outcome["logits"] = new Float32Array(0);
    let cache: Outcome["cache"] = [];
    const { tokens, kv, rows } = await session
      .generate(parts, {
        maxTokens: 12,
        ignoreEos: true,
        temperature: 0,
        onPromptRead: async () => {
          logits = await newestLogits(model, session);
          cache = await cacheContents(model, session);
        },
      })
      .report();
    const { bytes, kept, slots } = kv;
    return {
      tokens,
      source: rows.source,
      kv: { bytes, kept, slots },
      logits,
      cache,
      pages: model.engine.store.livePages,
    };
  }

  const replayed = (): PromptPart[] => [idsPart(model.tokenizer, prompt)];

  test.each(["adaptive", "fastgen"])("leaves no trace where %s has to keep everything", async (policy) => {
    const probed = await run({ policy, rows: "probe", recovery: 1 }, replayed());
    expect(probed).toEqual({ ...full, source: "probe" });
  });

  test("leaves no trace, whatever it asks", async () => {
    for (const probe of [ids.slice(500, 501), ids.slice(400, 475), [...prompt, ...prompt]]) {
      const probed = await run({ policy: "adaptive", recovery: 1 }, withProbe(replayed(), probe));
      expect(probed).toEqual({ ...full, source: "probe" });
    }
  });

  test("leaves no trace behind a later part", async () => {
    const parts = [{ ids: prompt.slice(0, 65), probe: null }, idsPart(model.tokenizer, prompt.slice(65, 145))];
    const { source, ...probed } = await run({ policy: "adaptive", recovery: 1 }, parts);
    expect(source).toBe("probe");
    expect(probed).toMatchObject(await run({ policy: "full" }, parts).then(({ source: _, ...rest }) => rest));
  });

  test("changes what is kept, never what was read", async () => {
    const probed = await run({ policy: "adaptive", recovery: 0.7 }, replayed());
    expect(probed.source).toBe("probe");
    expect(probed.kv.kept).not.toEqual(full.kv.kept);
    expect(probed.logits).toEqual(full.logits);
    probed.cache.forEach((layer, l) => {
      layer.forEach((head, h) => {
        const whole = full.cache[l]?.[h];
        const { headDim } = model.config;
        const positions = positionsOf(head);
        expect(positions).toHaveLength(head.keys.length / headDim);
        positions.forEach((position, slot) => {
          const row = (of: Float32Array | undefined, at: number) => of?.subarray(at * headDim, (at + 1) * headDim);
          expect(position).toBeLessThan(count);
          expect(row(head.keys, slot)).toEqual(row(whole?.keys, position));
          expect(row(head.values, slot)).toEqual(row(whole?.values, position));
        });
      });
    });
  });

  test("has chunks that do not see one another: their order makes no difference", async () => {
    const settings = resolveSession({ policy: "adaptive", recovery: 0.7 }, model);
    const chunks = [ids.slice(300, 340), ids.slice(500, 570)];
    const profiled = profiledRows("probe", count, 110);
    const measuredWith = async (probe: readonly (readonly number[])[]) => {
      using sequence = new Sequence(model.engine, settings.policy);
      const decision = cutDecision(sequence, count);
      await readPrompt(
        sequence,
        prompt,
        probe,
        () => new LayerCut(new CutJudge(sequence, decision, profiled), count),
        {},
      );
      return sequence.heads.flat().map(({ measured, kept }) => ({ measured, kept }));
    };
    const there = await measuredWith(chunks);
    const back = await measuredWith(chunks.toReversed());
    there.forEach(({ measured, kept }, head) => {
      expect(back[head]?.kept).toBe(kept);
      measured.forEach(({ recovery }, i) => {
        expect(back[head]?.measured[i]?.recovery).toBeCloseTo(recovery ?? NaN, 5);
      });
    });
  });

  test("is left out where the context has no room for it, and the report says so", async () => {
    using session = model.createSession({ policy: "adaptive" });
    const { rows } = await session
      .generate([idsPart(model.tokenizer, ids)], { maxTokens: 1, ignoreEos: true })
      .report();
    expect(rows.source).toBe("late");
    expect(rows.note).toContain("no probe fits");
  });
});
