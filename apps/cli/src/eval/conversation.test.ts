import { fileURLToPath } from "node:url";

import { chatParts, loadModel, openBackend, type ChatMessage } from "@winnow/runtime";
import { expect, test } from "vitest";

import { drawExample } from "./draw-example";
import { exampleSeed } from "./seeds";
import { second } from "./tasks/second";
import type { Example } from "./tasks/task";

const DEMO = fileURLToPath(new URL("../../../../models/demo", import.meta.url));
const CONVERSATIONS = 12;

/** A conversation as clients without a memory send it: whole, up to its last question. */
function messagesOf({ context, turns }: Example): readonly ChatMessage[] {
  return turns.flatMap(({ question, answer }, i) => [
    { role: "user", content: i === 0 ? `${context}\n\n${question}` : question },
    ...(i < turns.length - 1 ? [{ role: "assistant", content: answer } as const] : []),
  ]);
}

test("what an earlier message says is still answered, where a conversation is read at once and cut to a third", async () => {
  using model = await loadModel(DEMO, { backend: await openBackend("cpu") });
  const right = { full: 0, adaptive: 0 };
  for (let i = 0; i < CONVERSATIONS; i++) {
    const example = drawExample(model, second, exampleSeed(7, 5, i, "calibration"), 160);
    for (const policy of ["full", "adaptive"] as const) {
      using session = model.createSession({ policy, target: policy === "full" ? undefined : 0.33 });
      const parts = chatParts(model, messagesOf(example));
      const { text } = await session.generate(parts, { maxTokens: 40, temperature: 0 }).report();
      if (text.trim() === example.turns.at(-1)?.answer) right[policy]++;
    }
  }
  expect(right.full).toBeGreaterThan(CONVERSATIONS / 2);
  expect(right.adaptive).toBeGreaterThanOrEqual(right.full - 1);
});
