import { ScoreTable, columnsNeeded } from "@winnow/kv-policies";

import { computeStatistics } from "./computed-statistics";
import type { Sequence } from "./sequence";
import { SlotBuffers } from "./slot-buffers";

/**
 * Runs every head's policy over its kept slots and drops what it no longer keeps: one selection over all layers, then a
 * compaction of each layer that lost something. Its buffers grow with the longest head and are reused.
 */
export class Sweeper implements Disposable {
  #buffers: SlotBuffers | null = null;
  #columns = "";

  constructor(private readonly sequence: Sequence) {}

  /** Whether any head's policy can drop anything while generating. */
  get needed(): boolean {
    const { policy, heads } = this.sequence;
    return (
      policy.generated === "sweep" && heads.some((layer) => layer.some((head) => head.policy.node.kind !== "full"))
    );
  }

  async sweep(): Promise<void> {
    if (!this.needed) return;
    const { sequence } = this;
    const { backend, llama } = sequence.engine;
    const { heads } = llama.shape;
    const scores = new ScoreTable();
    const programs = sequence.programs(scores).flat();
    const { buffers, custom } = this.#prepare();
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
    await computeStatistics(sequence, buffers, custom, 0);
    backend.select({
      slots: buffers.table,
      headsPerLayer: heads.kvHeads,
      programs,
      scores: scores.expressions,
      now: sequence.tokens.length - 1,
      firstRow: 0,
      keep: buffers.keep,
      kept: buffers.kept,
    });
    const kept = await backend.download(buffers.kept);
    sequence.layers.forEach((layer, l) => {
      const firstRow = l * heads.kvHeads;
      if (layer.lengths.every((length, head) => kept[firstRow + head] === length)) return;
      backend.compact({ heads, paged: layer.paged, slots: buffers.table, keep: buffers.keep, firstRow });
      for (let head = 0; head < heads.kvHeads; head++) layer.resize(head, kept[firstRow + head] ?? 0);
    });
  }

  [Symbol.dispose](): void {
    this.#buffers?.[Symbol.dispose]();
    this.#buffers = null;
  }

  /** Buffers with room for the longest head, and the columns that any head's policy reads. */
  #prepare(): { readonly buffers: SlotBuffers; readonly custom: readonly string[] } {
    const { sequence } = this;
    const { backend } = sequence.engine;
    const needs = sequence.heads.flat().map(({ policy }) => columnsNeeded(policy));
    const custom = needs.flatMap((need) => need.custom);
    const hostNeeds = sequence.policy.registry.computed(custom).flatMap((statistic) => statistic.needs);
    const names = new Set([
      ...needs.flatMap(({ stored, computed }) => [...stored, ...computed]),
      ...custom,
      ...hostNeeds,
    ]);
    names.delete("position");
    const key = [...names].sort().join();
    const longest = Math.max(...sequence.layers.map((layer) => layer.longest));
    if (this.#buffers === null || this.#columns !== key || this.#buffers.table.capacity < longest) {
      this.#buffers?.[Symbol.dispose]();
      const rows = sequence.layers.length * sequence.engine.llama.shape.heads.kvHeads;
      // Half as much again, so that a growing cache makes new buffers seldom.
      this.#buffers = new SlotBuffers(backend, rows, Math.ceil(longest * 1.5) + 32, [...names]);
      this.#columns = key;
    }
    return { buffers: this.#buffers, custom };
  }
}
