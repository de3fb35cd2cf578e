import type { DeviceTensor, SelectProgram, SelectSlots } from "@winnow/core-tensor";
import { ScoreTable, columnsNeeded, type ColumnNeeds } from "@winnow/kv-policies";

import { computeStatistics } from "./computed-statistics";
import type { Enqueued } from "./enqueued";
import { downloadVectors, isVector, type HeadVectors } from "./head-vectors";
import type { LayerCache } from "./layer-cache";
import type { Sequence } from "./sequence";
import { SelectionBuffers, SlotBuffers } from "./slot-buffers";
import { chainOf, delayed, driftingRows } from "./upgrade-chain";
import { KEEP_ALL, withinWindow } from "./within-window";

const NO_ROWS: ReadonlySet<number> = new Set();

/** Slots as policies look at them, and where a selection of them goes. */
interface Collected {
  readonly slots: SelectSlots;
  readonly keep: DeviceTensor;
  readonly kept: DeviceTensor;
}

/**
 * Runs every head's policy over its kept slots and drops what it no longer keeps: one selection over all layers, then a
 * compaction of each layer that can lose something. Its buffers grow with the longest head and are reused.
 *
 * Where drift is not ignored, a check comes a token before each sweep: heads that would lose too much of what the newest row
 * attends to keep everything in it.
 */
export class Sweeper implements Disposable {
  #selection: SelectionBuffers | null = null;
  /** f32 [rows, 2] */
  #sums: DeviceTensor | null = null;
  /** Heads that the newest check found drifting, by their rows over all layers. */
  #drifting = NO_ROWS;
  #table: { readonly columns: string; readonly buffers: SlotBuffers } | null = null;

  constructor(private readonly sequence: Sequence) {}

  /** Whether any head can drop anything now. */
  get needed(): boolean {
    return this.sequence.layers.some((_, l) => this.#canDrop(l));
  }

  /** Whether any head can ever drop anything. */
  get drops(): boolean {
    return this.sequence.layers.some((_, l) => this.sequence.windowOf(l) !== null || this.#isSwept(l));
  }

  /** Whether sweeps are to be preceded by checks. */
  get checks(): boolean {
    return chainOf(this.sequence) !== null;
  }

  /**
   * Enqueue a look at what a sweep would drop now, after the newest token was accepted; null where nothing can be dropped.
   * The next sweep goes by it.
   */
  async check(): Promise<Enqueued | null> {
    const { sequence } = this;
    const chain = chainOf(sequence);
    this.#drifting = NO_ROWS;
    if (chain === null || !this.needed) return null;
    const { backend } = sequence.engine;
    const { slots, keep } = await this.#select((program) => program);
    this.#sums ??= backend.allocate("f32", [this.#rows, 2], { label: "slots", category: "activations" });
    backend.weigh({ slots, column: "lastMass", keep, sums: this.#sums });
    return {
      numbers: this.#sums,
      settle: (sums) => {
        sequence.expectOpen();
        this.#drifting = driftingRows(sums, chain);
      },
    };
  }

  /** Enqueue a sweep, after the newest token was accepted; null where nothing can be dropped. */
  async sweep(): Promise<Enqueued | null> {
    const { sequence } = this;
    const held = this.#drifting;
    this.#putOff();
    if (!this.needed) return null;
    const { backend, decoder } = sequence.engine;
    const { heads } = decoder.shape;
    const { slots, keep, kept } = await this.#select((program, row, l) =>
      // Its rank tests stay: other heads of the layer may compete within them.
      held.has(row) ? { ...program, keep: withinWindow(KEEP_ALL, sequence.windowOf(l)).keep } : program,
    );
    const swept = sequence.layers.flatMap((layer, l) =>
      this.#canDrop(l) ? [{ layer, before: layer.lengths, firstRow: l * heads.kvHeads }] : [],
    );
    swept.forEach(({ layer, firstRow }) => {
      backend.compact({ heads, paged: layer.paged, slots, keep, firstRow });
      // In a table, what waits was added; where slots lie, it waits on.
      if (slots.kind === "table") layer.pending = false;
    });
    return {
      numbers: kept,
      settle: (counts) => {
        sequence.expectOpen();
        // Spare pages are given back.
        for (const { layer, before, firstRow } of swept) {
          settleLayer(layer, before, (head) => counts[firstRow + head] ?? 0);
        }
      },
    };
  }

  [Symbol.dispose](): void {
    this.#selection?.[Symbol.dispose]();
    this.#selection = null;
    this.#sums?.[Symbol.dispose]();
    this.#sums = null;
    this.#table?.buffers[Symbol.dispose]();
    this.#table = null;
  }

  /** Take note of the heads for which a sweep is put off. */
  #putOff(): void {
    const { sequence } = this;
    const { kvHeads } = sequence.engine.decoder.shape.heads;
    const chain = chainOf(sequence);
    if (chain === null) return;
    let upgraded = 0;
    sequence.heads = sequence.heads.map((layer, l) =>
      layer.map((head, h) => {
        if (!this.#drifting.has(l * kvHeads + h)) return { ...head, delays: 0 };
        const next = delayed(head, chain);
        if (next.candidate > head.candidate) upgraded++;
        return next;
      }),
    );
    const before = sequence.drift ?? { delayed: 0, upgraded: 0 };
    sequence.drift = { delayed: before.delayed + this.#drifting.size, upgraded: before.upgraded + upgraded };
    this.#drifting = NO_ROWS;
  }

  /**
   * Select what heads keep now.
   *
   * @param programOf a head's program in the place of its policy's, by its row over all layers, and its layer.
   */
  async #select(programOf: (program: SelectProgram, row: number, layer: number) => SelectProgram): Promise<Collected> {
    const { sequence } = this;
    const { backend, decoder } = sequence.engine;
    const { kvHeads } = decoder.shape.heads;
    const scores = new ScoreTable();
    const programs = sequence
      .programs(scores)
      .flatMap((layer, l) => layer.map((program, head) => programOf(program, l * kvHeads + head, l)));
    const collected = await this.#collect();
    backend.select({
      slots: collected.slots,
      headsPerLayer: kvHeads,
      programs,
      scores: scores.expressions,
      now: sequence.tokens.length - 1,
      firstRow: 0,
      keep: collected.keep,
      kept: collected.kept,
    });
    return collected;
  }

  /** Whether any head of a layer may have slots that lie behind its window, or a policy under which it can lose slots. */
  #canDrop(l: number): boolean {
    const window = this.sequence.windowOf(l);
    return (window !== null && this.sequence.tokens.length > window) || this.#isSwept(l);
  }

  /** Whether any head of a layer has a policy under which it loses slots while an answer is written. */
  #isSwept(l: number): boolean {
    const { policy, heads } = this.sequence;
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
    // What is stored for a later policy moves with the slots, and what waits to be added to it is to be added.
    if (this.checks) for (const name of sequence.layers.flatMap((layer) => layer.storedColumns)) names.add(name);
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
