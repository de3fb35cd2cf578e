import { WinnowError } from "@winnow/core-tensor";

import { ask } from "./ask";
import { HealthWatch, type HealthSeen } from "./health-watch";
import { makeQuestion } from "./question";

/** Some 900 tokens of the 1,024 that the demo model's context holds. */
const SIZE = { sentences: [92, 92], maxTokens: 1 } as const;
const PROMPTS = 4;
const FIRST_NUMBER = 10_000;

/** How a server answers probes while it does nothing but read. */
export interface LongPrompts {
  readonly policy: string;
  readonly promptTokens: readonly number[];
  readonly health: HealthSeen;
}

/** @throws WinnowError `usage` when the server does not answer. */
export async function watchLongPrompts(url: string): Promise<Omit<LongPrompts, "policy">> {
  const watch = new HealthWatch(url);
  const promptTokens: number[] = [];
  for (let i = 0; i < PROMPTS; i++) {
    const reply = await ask(url, makeQuestion(FIRST_NUMBER + i, SIZE), { stream: true });
    if (reply.kind !== "answer") {
      throw new WinnowError("usage", `the server does not answer: ${JSON.stringify(reply).slice(0, 500)}`);
    }
    promptTokens.push(reply.promptTokens);
  }
  return { promptTokens, health: await watch.stop() };
}
