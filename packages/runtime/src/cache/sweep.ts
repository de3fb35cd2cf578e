import type { DeviceTensor, SelectSlots } from "@winnow/core-tensor";
import { ScoreTable, columnsNeeded, type ColumnNeeds } from "@winnow/kv-policies";

import { computeStatistics } from "./computed-statistics";
import { downloadVectors, isVector, type HeadVectors } from "./head-vectors";
import type { LayerCache } from "./layer-cache";
import type { Sequence } from "./sequence";
import { SelectionBuffers, SlotBuffers } from "./slot-buffers";

/** A sweep whose work is enqueued: how many slots are left is known when `kept` has been read. */
export interface EnqueuedSweep {
  /** u32 [layers · kvHeads]: slots that each head keeps of those it had. */
  readonly kept: DeviceTensor;
  /** Give spare pages back, and take note of the lengths; further rows may have been appended meanwhile. */
  settle(kept: ArrayLike<number>): void;
}

/** Slots as policies look at them, and where a selection of them goes. */
interface Collected {
  readonly slots: SelectSlots;
  readonly keep: DeviceTensor;
  readonly kept: DeviceTensor;
}

/**
 * Runs every head's policy over its kept slots and drops what it no longer keeps: one selection over all layers, then a
 * compaction of each layer that can lose something. Its buffers grow with the longest head and are reused.
 */
export class Sweeper implements Disposable {
  #selection: SelectionBuffers | null = null;
  #table: { readonly columns: string; readonly buffers: SlotBuffers } | null = null;

  constructor(private readonly sequence: Sequence) {}

  /** Whether any head can drop anything now. */
  get needed(): boolean {
    return this.sequence.layers.some((_, l) => this.#canDrop(l));
  }

  /** Enqueue a sweep, after the newest token was accepted; null where nothing can be dropped. */
  async enqueue(): Promise<EnqueuedSweep | null> {
    if (!this.needed) return null;
    const { sequence } = this;
    const { backend, decoder } = sequence.engine;
    const { heads } = decoder.shape;
    const scores = new ScoreTable();
    const programs = sequence.programs(scores).flat();
    const { slots, keep, kept } = await this.#collect();
    backend.select({
      slots,
      headsPerLayer: heads.kvHeads,
      programs,
      scores: scores.expressions,
      now: sequence.tokens.length - 1,
      firstRow: 0,
      keep,
      kept,
    });
    const swept = sequence.layers.flatMap((layer, l) =>
      this.#canDrop(l) ? [{ layer, before: layer.lengths, firstRow: l * heads.kvHeads }] : [],
    );
    swept.forEach(({ layer, firstRow }) => {
      backend.compact({ heads, paged: layer.paged, slots, keep, firstRow });
      // In a table, what waits was added; where slots lie, it waits on.
      if (slots.kind === "table") layer.pending = false;
    });
    return {
      kept,
      settle: (counts) => {
        sequence.expectOpen();
        for (const { layer, before, firstRow } of swept) {
          settleLayer(layer, before, (head) => counts[firstRow + head] ?? 0);
        }
      },
    };
  }

  [Symbol.dispose](): void {
    this.#selection?.[Symbol.dispose]();
    this.#selection = null;
    this.#table?.buffers[Symbol.dispose]();
    this.#table = null;
  }

  /** Whether any head of a layer may have slots that lie behind its window, or a policy under which it can lose slots. */
  #canDrop(l: number): boolean {
    const { policy, heads, tokens } = this.sequence;
    const window = this.sequence.windowOf(l);
    if (window !== null && tokens.length > window) return true;
    return policy.generated === "sweep" && (heads[l]?.some((head) => head.policy.node.kind !== "full") ?? false);
  }

  /** The slots where they lie, if all that policies go by is stored there; else in a table. */
  async #collect(): Promise<Collected> {
    const { sequence } = this;
    const swept = sequence.policy.generated === "sweep" ? sequence.heads.flat() : [];
    const policies = new Map(swept.map(({ policy }) => [policy.text, policy]));
    const needs = [...policies.values()].map(columnsNeeded);
    const stored = needs.every(({ computed, custom }) => computed.length === 0 && custom.length === 0);
    if (!stored) return this.#fillTable(needs);
    const { capacity, keep, kept } = this.#selectionBuffers();
    return { slots: sequence.pagedSlots(capacity), keep, kept };
  }

  async #fillTable(needs: readonly ColumnNeeds[]): Promise<Collected> {
    const { sequence } = this;
    const { backend, decoder } = sequence.engine;
    const { heads } = decoder.shape;
    const custom = needs.flatMap((need) => need.custom);
    const hostNeeds = sequence.policy.registry.computed(custom).flatMap((statistic) => statistic.needs);
    const names = new Set([
      ...needs.flatMap(({ stored, computed }) => [...stored, ...computed]),
      ...custom,
      ...hostNeeds,
    ]);
    names.delete("position");
    for (const name of names) if (isVector(name)) names.delete(name);
    const buffers = this.#tableFor([...names].sort());
    sequence.layers.forEach((layer, l) => {
      backend.statistics({
        heads,
        paged: layer.paged,
        flags: sequence.flags,
        recorded: [],
        into: buffers.table,
        firstRow: l * heads.kvHeads,
      });
    });
    const vectors: HeadVectors[] = [];
    if (hostNeeds.some(isVector)) {
      for (const l of sequence.layers.keys()) {
        for (const of of await downloadVectors(sequence, l, null, 0)) vectors.push({ ...of, queries: null });
      }
    }
    await computeStatistics(sequence, buffers, custom, 0, vectors);
    return { slots: buffers.table, keep: buffers.keep, kept: buffers.kept };
  }

  #selectionBuffers(): SelectionBuffers {
    const longest = this.#longest;
    if (this.#selection === null || this.#selection.capacity < longest) {
      this.#selection?.[Symbol.dispose]();
      this.#selection = new SelectionBuffers(this.sequence.engine.backend, this.#rows, roomFor(longest));
    }
    return this.#selection;
  }

  #tableFor(columns: readonly string[]): SlotBuffers {
    const longest = this.#longest;
    const key = columns.join();
    if (this.#table?.columns !== key || this.#table.buffers.table.capacity < longest) {
      this.#table?.buffers[Symbol.dispose]();
      const buffers = new SlotBuffers(this.sequence.engine.backend, this.#rows, roomFor(longest), columns);
      this.#table = { columns: key, buffers };
    }
    return this.#table.buffers;
  }

  get #longest(): number {
    return Math.max(...this.sequence.layers.map((layer) => layer.longest));
  }

  get #rows(): number {
    const { store } = this.sequence.engine;
    return store.layout.layers * store.layout.heads.kvHeads;
  }
}

/** Half as much again, so that a growing cache makes new buffers seldom. */
function roomFor(slots: number): number {
  return Math.ceil(slots * 1.5) + 32;
}

function settleLayer(layer: LayerCache, before: readonly number[], kept: (head: number) => number): void {
  layer.lengths.forEach((length, head) => {
    const dropped = (before[head] ?? 0) - kept(head);
    if (dropped > 0) layer.resize(head, length - dropped);
  });
}
