import type { Heads } from "./heads";
import { listOf, numberOf, numberOrNull, objectOf, stringOf } from "./json";

export interface KvBytes {
  readonly bytes: number;
  readonly fullBytes: number;
  readonly peakBytes: number;
}

/** One request that the server knows, or a conversation that it keeps. */
export interface SlotReport {
  readonly id: string;
  readonly state: string;
  readonly promptTokens: number;
  readonly tokens: number;
  readonly policy: string;
  readonly ageMs: number;
  readonly kv: KvBytes;
  /** Empty before its prompt has been read. */
  readonly heads: Heads;
}

/** What `GET /slots` tells. */
export interface SlotsReport {
  readonly model: string;
  readonly backend: string;
  readonly cache: {
    readonly budgetBytes: number | null;
    readonly reservedBytes: number;
    readonly bytes: number;
    readonly prefixes: {
      readonly entries: number;
      readonly bytes: number;
      readonly hits: number;
      readonly misses: number;
    };
  };
  readonly queue: {
    readonly waiting: number;
    readonly running: number;
    readonly parked: number;
    readonly max: number | null;
  };
  readonly tokensPerSecond: number | null;
  readonly slots: readonly SlotReport[];
}

export function readSlots(value: unknown): SlotsReport {
  const body = objectOf(value);
  const cache = objectOf(body.cache);
  const prefixes = objectOf(cache.prefixes);
  const queue = objectOf(body.queue);
  return {
    model: stringOf(body.model),
    backend: stringOf(body.backend),
    cache: {
      budgetBytes: numberOrNull(cache.budgetBytes),
      reservedBytes: numberOf(cache.reservedBytes),
      bytes: numberOf(cache.bytes),
      prefixes: {
        entries: numberOf(prefixes.entries),
        bytes: numberOf(prefixes.bytes),
        hits: numberOf(prefixes.hits),
        misses: numberOf(prefixes.misses),
      },
    },
    queue: {
      waiting: numberOf(queue.waiting),
      running: numberOf(queue.running),
      parked: numberOf(queue.parked),
      max: numberOrNull(queue.max),
    },
    tokensPerSecond: numberOrNull(body.tokensPerSecond),
    slots: listOf(body.slots).map(readSlot),
  };
}

function readSlot(value: unknown): SlotReport {
  const slot = objectOf(value);
  const id = slot.id;
  return {
    id: typeof id === "number" ? String(id) : stringOf(id),
    state: stringOf(slot.state),
    promptTokens: numberOf(slot.promptTokens),
    tokens: numberOf(slot.tokens),
    policy: stringOf(slot.policy),
    ageMs: numberOf(slot.ageMs),
    kv: readKvBytes(slot.kv),
    heads: listOf(slot.heads).map((layer) =>
      listOf(layer).map((head) => {
        const { policy, kept } = objectOf(head);
        const share = Math.min(1, Math.max(0, numberOf(kept)));
        return { policy: stringOf(policy), share, slots: null, recovery: null };
      }),
    ),
  };
}

export function readKvBytes(value: unknown): KvBytes {
  const { bytes, fullBytes, peakBytes } = objectOf(value);
  return { bytes: numberOf(bytes), fullBytes: numberOf(fullBytes), peakBytes: numberOf(peakBytes) };
}

/**
 * What the cache would take if every request in it kept everything. Parked requests lie elsewhere, and prefixes are
 * whole in either.
 */
export function fullCacheBytes({ cache, slots }: SlotsReport): number {
  const dropped = slots
    .filter(({ state }) => state !== "parked")
    .map(({ kv }) => Math.max(0, kv.fullBytes - kv.bytes))
    .reduce((sum, bytes) => sum + bytes, 0);
  return cache.bytes + dropped;
}
