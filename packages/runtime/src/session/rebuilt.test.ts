import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { loadModel, type Model } from "../model";
import { openBackend } from "../open-backend";
import { idsPart } from "../prompt/parts";
import { cacheContents, positionsOf } from "../testing/cache-contents";
import { DEMO } from "../testing/models";
import { goldenIds } from "../testing/prompts";
import type { Session } from "./session";

const IDS = goldenIds("demo", 190);
const FIRST = IDS.slice(0, 150);
const SECOND = IDS.slice(150);

describe("a cache that is rebuilt from its tokens", () => {
  let model: Model;
  let before: ReadonlySet<string>;
  beforeAll(async () => {
    model = await loadModel(DEMO, { backend: await openBackend("cpu") });
    using goesOn = model.createSession({ policy: "adaptive" });
    await goesOn.read([idsPart(model.tokenizer, FIRST)]);
    before = await keptOfFirst(goesOn);
  });
  afterAll(() => {
    model[Symbol.dispose]();
  });

  /** What is kept of the first part, as `layer.head.position`. */
  async function keptOfFirst(session: Session): Promise<ReadonlySet<string>> {
    const contents = await cacheContents(model, session);
    const kept = contents.flatMap((layer, l) =>
      layer.flatMap((head, h) =>
        [...positionsOf(head)].filter((position) => position < FIRST.length).map((position) => `${l}.${h}.${position}`),
      ),
    );
    return new Set(kept);
  }

  /** Most of what was kept when the part was read by itself, and not much more. */
  async function expectMuchTheSame(session: Session): Promise<void> {
    const after = await keptOfFirst(session);
    expect(session.rows.source).toBe("probe");
    expect([...before].filter((slot) => after.has(slot)).length).toBeGreaterThan(0.75 * before.size);
    expect(after.size).toBeLessThan(1.5 * before.size);
    const all = model.config.layers * model.config.kvHeads * FIRST.length;
    expect(after.size).toBeLessThan(0.6 * all);
  }

  test("keeps of what was said before much the same as when that was read", async () => {
    using session = model.createSession({ policy: "adaptive", memory: "exact" });
    await session.read([idsPart(model.tokenizer, FIRST)]);
    await session.read([idsPart(model.tokenizer, SECOND)]);
    await expectMuchTheSame(session);
  });

  test("does so where nothing new is read", async () => {
    using session = model.createSession({ policy: "adaptive", memory: "exact" });
    await session.read([idsPart(model.tokenizer, FIRST)]);
    await session.generate([], { maxTokens: 2, temperature: 0, ignoreEos: true }).report();
    await expectMuchTheSame(session);
  });
});
