import { setTimeout as sleep } from "node:timers/promises";

import { slotsSchema, type Slots } from "./wire";

const EVERY_MS = 200;
const POLL_MS = 20_000;

/** The greatest that `/slots` has shown. */
export interface SlotsSeen {
  readonly polls: number;
  readonly reservedBytes: number;
  /** Polls with more bytes than the budget. */
  readonly overBudget: number;
  /** Answers that were being read or written at the same time, with those that waited for room amid their answer. */
  readonly inFlight: number;
  readonly parked: number;
  readonly waiting: number;
  /** Polls that failed. */
  readonly failures: readonly string[];
}

export async function readSlots(url: string): Promise<Slots> {
  const response = await fetch(`${url}/slots`, { signal: AbortSignal.timeout(POLL_MS) });
  return slotsSchema.parse(await response.json());
}

/** Looks at `/slots` several times a second. */
export class SlotsWatch {
  readonly #stopped = new AbortController();
  readonly #watching: Promise<void>;
  #seen = { polls: 0, reservedBytes: 0, overBudget: 0, inFlight: 0, parked: 0, waiting: 0 };
  readonly #failures: string[] = [];

  constructor(url: string) {
    this.#watching = this.#watch(url);
  }

  async stop(): Promise<SlotsSeen> {
    this.#stopped.abort();
    await this.#watching;
    return { ...this.#seen, failures: this.#failures };
  }

  async #watch(url: string): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      try {
        this.#see(await readSlots(url));
      } catch (error) {
        this.#failures.push(String(error));
      }
      await sleep(EVERY_MS, undefined, { signal: this.#stopped.signal }).catch(() => undefined);
    }
  }

  #see({ cache, slots }: Slots): void {
    const count = (...states: readonly string[]): number => slots.filter(({ state }) => states.includes(state)).length;
    const before = this.#seen;
    this.#seen = {
      polls: before.polls + 1,
      reservedBytes: Math.max(before.reservedBytes, cache.reservedBytes),
      overBudget: before.overBudget + (Math.max(cache.reservedBytes, cache.bytes) > cache.budgetBytes ? 1 : 0),
      inFlight: Math.max(before.inFlight, count("reading", "writing", "parked")),
      parked: Math.max(before.parked, count("parked")),
      waiting: Math.max(before.waiting, count("idle", "waiting")),
    };
  }
}
