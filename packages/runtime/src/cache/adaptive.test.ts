import { PolicyRegistry, TokenClass, defineStrategy, type HeadView } from "@winnow/kv-policies";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { loadModel, type Model } from "../model";
import { openBackend, type BackendName } from "../open-backend";
import { idsPart } from "../prompt/parts";
import type { SessionOptions } from "../session/session-options";
import { cacheContents, positionsOf } from "../testing/cache-contents";
import { DEMO } from "../testing/models";
import { goldenIds } from "../testing/prompts";

const backends: readonly BackendName[] = process.env.WINNOW_NO_GPU === undefined ? ["cpu", "webgpu"] : ["cpu"];
const IDS = goldenIds("demo", 150);

describe.each(backends)("adaptive on %s", (name) => {
  let model: Model;
  /** Every head of the model as the probe's rows see it. */
  let seen: readonly HeadView[];

  beforeAll(async () => {
    model = await loadModel(DEMO, { backend: await openBackend(name), kvType: "f32" });
    const views: HeadView[] = [];
    const registry = new PolicyRegistry();
    registry.register(
      defineStrategy({
        name: "watcher",
        needs: ["maxWeight"],
        rows: "probe",
        generated: "keep",
        decide: ({ heads }) => {
          views.push(...heads);
          return heads.map(() => "full");
        },
      }),
    );
    await read({ policy: "watcher", registry });
    seen = views;
  });
  afterAll(() => {
    model[Symbol.dispose]();
  });

  async function read(options: SessionOptions, ids: readonly number[] = IDS) {
    using session = model.createSession(options);
    await session.read([idsPart(model.tokenizer, ids)]);
    const contents = await cacheContents(model, session);
    return {
      kept: contents.flat().map((head) => [...positionsOf(head)]),
      fitted: session.sequence.fitted,
      kv: session.sequence.report(),
    };
  }

  /** What a head keeps that may lose no more than a weight on one token. */
  const above = ({ columns, flags, position, count, now }: HeadView, weight: number): number[] =>
    Array.from({ length: count }, (_, slot) => slot)
      .filter(
        (slot) =>
          (columns.maxWeight?.[slot] ?? 0) >= weight ||
          ((flags[slot] ?? 0) & TokenClass.special) !== 0 ||
          now - (position[slot] ?? 0) < 4,
      )
      .map((slot) => position[slot] ?? -1);

  test("keeps what some row of the probe gave a tenth of its attention, and nothing else", async () => {
    const { kept, kv } = await read({ policy: "adaptive" });
    expect(kept).toEqual(seen.map((head) => above(head, 0.1)));
    expect(kv.bytes).toBeLessThan(kv.fullBytes);
    expect(kv.recovery.flat().every((recovery) => recovery !== null && recovery > 0)).toBe(true);
  });

  test.each([
    [63, false],
    [64, true],
  ])("in a prompt of %i tokens keeps something by rule: %s", async (length, byRule) => {
    // So small a target leaves room for nothing else.
    const { kept } = await read({ policy: "adaptive", target: 0.02 }, IDS.slice(0, length));
    const lastFour = Array.from({ length: 4 }, (_, i) => length - 4 + i);
    expect(kept.every((positions) => lastFour.every((last) => positions.includes(last)))).toBe(byRule);
    if (!byRule) expect(kept.flat().length).toBeLessThan(0.02 * length * kept.length + 1);
  });

  test.each([0.6, 0.3])("meets a target of %s by one weight for all heads of all layers", async (target) => {
    const { kept, fitted } = await read({ policy: "adaptive", target });
    if (fitted?.kind !== "weight") throw new Error("no weight was fitted");
    expect(kept).toEqual(seen.map((head) => above(head, fitted.weight)));
    const slotBytes = 4 * model.config.headDim + 4;
    const limit = target * IDS.length * seen.length * 4 * model.config.headDim;
    const bytes = kept.flat().length * slotBytes;
    expect(bytes).toBeLessThanOrEqual(limit);
    // The next lower weight is some slot's, or several slots' that have the same.
    const weights = seen.flatMap(({ columns, count }) => [...(columns.maxWeight?.subarray(0, count) ?? [])]);
    const next = Math.max(...weights.filter((weight) => weight < fitted.weight));
    expect(seen.flatMap((head) => above(head, next)).length * slotBytes).toBeGreaterThan(limit);
  });

  test("takes the least rung of the ladder where a recovery is asked for", async () => {
    const { kv } = await read({ policy: "adaptive", recovery: 0.8 });
    expect(
      kv.plan.flat().every((text) => /^(?:full|special( \| top\(maxWeight, \d+%\))? \| recent\(4\))$/.test(text)),
    ).toBe(true);
    expect(kv.recovery.flat().every((recovery) => (recovery ?? 0) >= 0.8)).toBe(true);
  });
});
