import { WinnowError } from "@winnow/core-tensor";

import { tell } from "../progress";
import { ask, askPatiently, type Answer } from "./ask";
import { makeQuestion } from "./question";
import { readSlots, SlotsWatch, type SlotsSeen } from "./slots-watch";
import { spreadOf, tenths, type Spread } from "./spread";

/** Some 400 tokens, and an answer of about 64. */
const SIZE = { sentences: [42, 42], maxTokens: 64 } as const;
const WARM_REQUESTS = 2;

/** So many clients at once, which ask so many questions together. */
export interface Crowd {
  readonly clients: number;
  readonly requests: number;
}

export const CROWDS: readonly Crowd[] = [
  { clients: 1, requests: 4 },
  { clients: 4, requests: 12 },
  { clients: 16, requests: 32 },
  { clients: 64, requests: 96 },
];

export interface ThroughputRow extends Crowd {
  readonly policy: string;
  readonly answered: number;
  readonly lost: number;
  /** Times that the queue was full. */
  readonly tooMany: number;
  readonly seconds: number;
  /** Median of the prompts' and the answers' tokens. */
  readonly promptTokens: number;
  readonly answerTokens: number;
  /** Tokens of all answers, over all of the time. */
  readonly tokensPerSecond: number;
  /** From asking for the first time, so with the time in which the queue was full. */
  readonly firstMs: Spread | null;
  readonly betweenMs: Spread | null;
  readonly slots: SlotsSeen;
}

/**
 * Measure crowds of clients, one after the other.
 *
 * @throws WinnowError `usage` when a server does not answer.
 */
export async function measureThroughput(
  url: string,
  policy: string,
  crowds: readonly Crowd[],
): Promise<ThroughputRow[]> {
  let number = 0;
  for (let i = 0; i < WARM_REQUESTS; i++) {
    const reply = await ask(url, makeQuestion(number++, SIZE), { stream: true });
    if (reply.kind !== "answer") {
      throw new WinnowError("usage", `the server does not answer: ${JSON.stringify(reply).slice(0, 500)}`);
    }
  }
  const rows: ThroughputRow[] = [];
  for (const crowd of crowds) {
    tell(`${policy}: ${crowd.clients} clients`);
    rows.push(await measureCrowd(url, policy, crowd, number));
    number += crowd.requests;
  }
  return rows;
}

async function measureCrowd(url: string, policy: string, crowd: Crowd, firstNumber: number): Promise<ThroughputRow> {
  const answers: Answer[] = [];
  const firstMs: number[] = [];
  let lost = 0;
  let tooMany = 0;
  let asked = 0;
  const watch = new SlotsWatch(url);
  const started = performance.now();
  const clients = Array.from({ length: crowd.clients }, async () => {
    while (asked < crowd.requests) {
      const question = makeQuestion(firstNumber + asked++, SIZE);
      const { reply, refusals, waitedMs } = await askPatiently(url, question, { stream: true }, () => true);
      tooMany += refusals;
      if (reply.kind === "answer") {
        answers.push(reply);
        if (!Number.isNaN(reply.firstMs)) firstMs.push(waitedMs + reply.firstMs);
      } else lost++;
    }
  });
  await Promise.all(clients);
  const seconds = (performance.now() - started) / 1000;
  const slots = await watch.stop();
  const tokens = answers.reduce((sum, answer) => sum + answer.tokens, 0);
  return {
    ...crowd,
    policy,
    answered: answers.length,
    lost,
    tooMany,
    seconds: tenths(seconds),
    promptTokens: spreadOf(answers.map((answer) => answer.promptTokens))?.p50 ?? 0,
    answerTokens: spreadOf(answers.map((answer) => answer.tokens))?.p50 ?? 0,
    tokensPerSecond: tenths(tokens / seconds),
    firstMs: spreadOf(firstMs),
    betweenMs: spreadOf(answers.flatMap(({ betweenMs }) => betweenMs)),
    slots,
  };
}

/** @returns the budget that the server itself names. */
export async function budgetOf(url: string): Promise<number> {
  return (await readSlots(url)).cache.budgetBytes;
}
