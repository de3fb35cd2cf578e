import { mkdtempSync, rmSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { parseScore } from "@winnow/kv-policies";
import { loadModel, openBackend, type Model } from "@winnow/runtime";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { calibrate } from "./calibrate";
import { exampleTokens } from "./example-tokens";
import { exampleSeed } from "./seeds";
import { tasksOf } from "./tasks/tasks";
import { readTexts } from "./texts";
import { Draw } from "./world/draw";

const DEMO = fileURLToPath(new URL("../../../../models/demo", import.meta.url));
const dir = mkdtempSync(join(tmpdir(), "winnow-calibrate-"));
let model: Model;

beforeAll(async () => {
  model = await loadModel(DEMO, { backend: await openBackend("cpu") });
});
afterAll(() => {
  model[Symbol.dispose]();
  rmSync(dir, { recursive: true });
});

describe("a calibration", () => {
  test("gives heads the mean of their shares, and keeps a target's bytes of its texts", async () => {
    const [task] = tasksOf("keys");
    const size = { tokens: 90, count: (text: string) => model.tokenizer.encode(text).length };
    const texts = Array.from({ length: 3 }, (_, i) => {
      const example = task?.example(new Draw(exampleSeed(1, 31, i, "calibration")), size);
      if (example === undefined) throw new Error("no example");
      return exampleTokens(model, example, { question: "unseen" }).prompt;
    });
    const target = 0.5;
    const { plan, shares, deviations, kept } = await calibrate(model, texts, { target, score: parseScore("mass") });
    expect(kept).toBeLessThanOrEqual(target * 1.02);
    expect(kept).toBeGreaterThan(target * 0.9);
    const found: number[][] = [];
    for (const text of texts) {
      using session = model.createSession({ policy: "adaptive", target });
      await session.read([text]);
      found.push(
        session.sequence
          .report()
          .kept.flat()
          .map((slots) => slots / text.ids.length),
      );
    }
    shares.flat().forEach((share, head) => {
      const own = found.map((of) => of[head] ?? NaN);
      const mean = own.reduce((a, b) => a + b, 0) / own.length;
      expect(share).toBeCloseTo(mean, 10);
      const variance = own.reduce((sum, one) => sum + (one - mean) ** 2, 0) / own.length;
      expect(deviations.flat()[head]).toBeCloseTo(Math.sqrt(variance), 10);
    });
    // A head with more of the texts has no less of the plan.
    const ranked = plan.heads
      .flat()
      .map((text) => Number(/top\(mass, ([\d.]+)%\)/.exec(text)?.[1] ?? (text === "full" ? 100 : 0)));
    const order = shares.flat().map((share, head) => ({ share, given: ranked[head] ?? NaN }));
    order.sort((a, b) => a.share - b.share);
    for (let i = 1; i < order.length; i++) expect(order[i]?.given).toBeGreaterThanOrEqual(order[i - 1]?.given ?? NaN);
    using session = model.createSession({ plan: { format: "winnow-head-plan", version: 1, ...plan } });
    await session.read([texts[0] ?? { ids: [], probe: null }]);
    expect(session.sequence.report().plan).toEqual(plan.heads);
  });
});

test("texts are read by the line, and a line that is none is named", async () => {
  const file = join(dir, "texts.jsonl");
  await writeFile(file, '{"text": "One."}\n\n{"text": "Two."}\n{"text": 3}\n');
  expect(await readTexts(file, 2)).toEqual(["One.", "Two."]);
  await expect(readTexts(file, 9)).rejects.toThrow('line 3 is not a JSON object with a "text"');
  await writeFile(file, "\n");
  await expect(readTexts(file, 9)).rejects.toThrow("it has no texts");
  await expect(readTexts(join(dir, "none"), 9)).rejects.toThrow("there is no such file");
});
