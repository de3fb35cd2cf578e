import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { loadModel, type Model } from "../model";
import { openBackend } from "../open-backend";
import { idsPart } from "../prompt/parts";
import { cacheContents, positionsOf } from "../testing/cache-contents";
import { DEMO } from "../testing/models";
import { goldenIds } from "../testing/prompts";
import type { Session } from "./session";

const FIRST = goldenIds("demo", 150);
const SECOND = FIRST.slice(20, 50);

describe("a cache that is rebuilt from its tokens", () => {
  let model: Model;
  beforeAll(async () => {
    model = await loadModel(DEMO, { backend: await openBackend("cpu") });
  });
  afterAll(() => {
    model[Symbol.dispose]();
  });

  /** What is kept of the first part, as `layer.head.position`. */
  async function keptOfFirst(session: Session): Promise<Set<string>> {
    const contents = await cacheContents(model, session);
    return new Set(
      contents.flatMap((layer, l) =>
        layer.flatMap((head, h) =>
          [...positionsOf(head)]
            .filter((position) => position < FIRST.length)
            .map((position) => `${l}.${h}.${position}`),
        ),
      ),
    );
  }

  test("keeps of what was said before about what it kept when that was read", async () => {
    const { tokenizer } = model;
    using goesOn = model.createSession({ policy: "adaptive" });
    await goesOn.read([idsPart(tokenizer, FIRST)]);
    const before = await keptOfFirst(goesOn);
    using rebuilt = model.createSession({ policy: "adaptive", memory: "exact" });
    await rebuilt.read([idsPart(tokenizer, FIRST)]);
    await rebuilt.read([idsPart(tokenizer, SECOND)]);
    const after = await keptOfFirst(rebuilt);
    expect(rebuilt.rows.source).toBe("probe");
    const still = [...before].filter((slot) => after.has(slot));
    expect(still.length).toBeGreaterThan(0.8 * before.size);
  });
});
