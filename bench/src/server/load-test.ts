import { setTimeout as sleep } from "node:timers/promises";

import { WinnowError } from "@winnow/core-tensor";

import { ask, askPatiently } from "./ask";
import { HealthWatch, type HealthSeen } from "./health-watch";
import { HOSTILES, type HostileOutcome } from "./hostile";
import { knownAnswers, loadQuestions } from "./known-answers";
import { expectLoopback } from "./loopback";
import { makeQuestion } from "./question";
import { Random } from "./random";
import { readSlots, SlotsWatch, type SlotsSeen } from "./slots-watch";
import { spreadOf, type Spread } from "./spread";
import { Tally, type Counts } from "./tally";
import type { Slots } from "./wire";

/** A client's part, in turn: of twelve, four leave, two are hostile, and six check their answers. */
const PARTS = ["check", "leave", "check", "check", "leave", "hostile"] as const;
const SEED = 20_231_015;
/** What clients who left have held is to be given back within so long. */
const SETTLE_MS = 15_000;
const POLL_MS = 10_000;

export interface LoadTestOptions {
  readonly seconds: number;
  /** At once. */
  readonly clients: number;
  readonly questions: number;
}

/** What happened to a server under load. */
export interface LoadResult extends LoadTestOptions {
  readonly backend: string;
  readonly parts: { readonly checking: number; readonly leaving: number; readonly hostile: number };
  /** Different ones among the known answers. */
  readonly differentAnswers: number;
  readonly counts: Counts;
  /** Some of what went wrong with answers, in words. */
  readonly examples: readonly string[];
  readonly hostile: readonly HostileCounts[];
  readonly health: HealthSeen;
  readonly firstMs: Spread | null;
  readonly betweenMs: Spread | null;
  readonly slots: SlotsSeen;
  readonly before: CacheState;
  readonly after: CacheState;
  /** When, at last, long answers have taken the room of the shared beginnings. */
  readonly emptied: Slots["cache"];
  readonly openAtEnd: number;
}

export interface CacheState {
  readonly cache: Slots["cache"];
  /** Resident bytes of the process. */
  readonly residentBytes: number;
}

/** How often one kind of hostile request was sent, and what was said to it. */
export interface HostileCounts {
  readonly name: string;
  readonly sent: number;
  readonly outcomes: Readonly<Record<string, number>>;
  readonly unexpected: number;
}

/**
 * Put a server of the demo model under load.
 *
 * @param url of 127.0.0.1.
 * @throws WinnowError `usage` for another address, and for a server that does not answer before the load.
 */
export async function testUnderLoad(url: string, options: LoadTestOptions): Promise<LoadResult> {
  expectLoopback(url);
  // What caches hold before anything was asked is what they are to hold in the end.
  const empty = await readSlots(url);
  const known = await knownAnswers(url, loadQuestions(options.questions));
  const before: CacheState = { cache: empty.cache, residentBytes: await residentBytes(url) };
  const tally = new Tally(known);
  const hostile = new Map<string, HostileCounts>();
  const health = new HealthWatch(url);
  const slots = new SlotsWatch(url);
  const until = performance.now() + 1000 * options.seconds;
  const goOn = (): boolean => performance.now() < until;
  const clients = Array.from({ length: options.clients }, async (_, i) => {
    const random = new Random(SEED, i);
    const part = partOf(i);
    while (goOn()) {
      if (part === "hostile") {
        await sendHostile(url, random, hostile);
        await sleep(random.whole(50, 250));
        continue;
      }
      const asked = random.choose(known);
      const stream = random.unit() < 0.7;
      if (part === "leave") {
        // Some go while they wait, some while the prompt is read, most amid the answer.
        const leaving = { events: random.whole(1, 40), ms: random.whole(20, 15_000) };
        const reply = await ask(url, asked.question, { stream, leaving });
        tally.take(asked, reply);
        if (reply.kind === "refused" && reply.status === 429) {
          tally.tooMany(1);
          await sleep(1000 * Math.min(reply.retryAfterSeconds, 5));
        }
        continue;
      }
      const { reply, refusals } = await askPatiently(url, asked.question, { stream }, goOn);
      tally.tooMany(refusals);
      tally.take(asked, reply);
    }
  });
  await Promise.all(clients);
  const openAtEnd = await settled(url);
  const [healthSeen, slotsSeen] = await Promise.all([health.stop(), slots.stop()]);
  const after = await readSlots(url);
  const residentAfter = await residentBytes(url);
  await takeAllRoom(url);
  const parts = Array.from({ length: options.clients }, (_, i) => partOf(i));
  return {
    ...options,
    backend: after.backend,
    parts: {
      checking: parts.filter((part) => part === "check").length,
      leaving: parts.filter((part) => part === "leave").length,
      hostile: parts.filter((part) => part === "hostile").length,
    },
    differentAnswers: new Set(known.map(({ text }) => text)).size,
    counts: tally.counts,
    examples: tally.examples,
    hostile: [...hostile.values()],
    health: healthSeen,
    firstMs: spreadOf(tally.firstMs),
    betweenMs: spreadOf(tally.betweenMs),
    slots: slotsSeen,
    before,
    after: { cache: after.cache, residentBytes: residentAfter },
    emptied: (await readSlots(url)).cache,
    openAtEnd,
  };
}

function partOf(client: number): (typeof PARTS)[number] {
  return PARTS[client % PARTS.length] ?? "check";
}

async function sendHostile(url: string, random: Random, counts: Map<string, HostileCounts>): Promise<void> {
  const { name, expected, send } = random.choose(HOSTILES);
  let outcome: HostileOutcome | "no answer in time";
  try {
    outcome = await send(url, random);
  } catch {
    outcome = "no answer in time";
  }
  const before = counts.get(name) ?? { name, sent: 0, outcomes: {}, unexpected: 0 };
  const isExpected = expected.some((one) => one === outcome);
  counts.set(name, {
    name,
    sent: before.sent + 1,
    outcomes: { ...before.outcomes, [outcome]: (before.outcomes[outcome] ?? 0) + 1 },
    unexpected: before.unexpected + (isExpected ? 0 : 1),
  });
}

/** @returns requests that the server still has when it should have none. */
async function settled(url: string): Promise<number> {
  const until = performance.now() + SETTLE_MS;
  for (;;) {
    const { slots } = await readSlots(url);
    if (slots.length === 0 || performance.now() > until) return slots.length;
    await sleep(100);
  }
}

/** Three full caches of a long prompt do not fit together, and leave no room for anything else. */
async function takeAllRoom(url: string): Promise<void> {
  const { messages } = makeQuestion(0, { sentences: [95, 95], maxTokens: 1 });
  const body = { model: "demo", messages, max_tokens: 8, n: 3, winnow: { policy: "full" } };
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (response.status !== 200) throw new WinnowError("usage", `the server has no room: ${await response.text()}`);
  await response.arrayBuffer();
  await settled(url);
}

/** As the process itself tells Prometheus. */
async function residentBytes(url: string): Promise<number> {
  const response = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(POLL_MS) });
  const [, bytes] = /^process_resident_memory_bytes (\d+)$/m.exec(await response.text()) ?? [];
  return Number(bytes ?? NaN);
}
