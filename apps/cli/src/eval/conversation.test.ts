import { fileURLToPath } from "node:url";

import { PolicyRegistry } from "@winnow/kv-policies";
import { loadModel, openBackend } from "@winnow/runtime";
import { expect, test } from "vitest";

import { cellsOf } from "./cells";
import { evaluate } from "./evaluate";
import { tasksOf } from "./tasks/tasks";

const DEMO = fileURLToPath(new URL("../../../../models/demo", import.meta.url));
const SAMPLES = 12;

test("what an earlier message says is still answered, where a conversation is read at once and cut to a third", async () => {
  using model = await loadModel(DEMO, { backend: await openBackend("cpu") });
  const { results } = await evaluate(
    { whole: model, quantised: new Map() },
    {
      tasks: tasksOf("second"),
      files: [],
      maxTokens: 1,
      cells: cellsOf("adaptive", [{ target: 0.33, recovery: null }], new PolicyRegistry()),
      samples: SAMPLES,
      seed: 7,
      tokens: 160,
      kind: "calibration",
      question: "whole",
      saved: null,
    },
  );
  const [full, adaptive] = results;
  expect(full?.score).toBeGreaterThan(0.5);
  expect(adaptive?.flips).toBeLessThanOrEqual(1);
  expect(adaptive?.bytes).toBeLessThanOrEqual(0.33 * (adaptive?.fullBytes ?? NaN));
});
