import { WinnowError, type SelectProgram } from "@winnow/core-tensor";
import { ScoreTable, columnsNeeded } from "@winnow/kv-policies";

import { KEEP_ALL, readsSlots } from "./keep-all";
import type { Sequence } from "./sequence";
import { SlotBuffers } from "./slot-buffers";

/**
 * Runs every head's policy over its kept slots and drops what it no longer keeps: one selection over all layers,
 * then a compaction of each layer that lost something. Its buffers grow with the longest head and are reused.
 */
export class Sweeper implements Disposable {
  #buffers: SlotBuffers | null = null;

  constructor(private readonly sequence: Sequence) {}

  /** Whether any head's policy can drop anything while generating. */
  get needed(): boolean {
    return (
      this.sequence.policy.generated === "sweep" &&
      this.sequence.heads.some((layer) => layer.some(({ policy }) => readsSlots(policy)))
    );
  }

  async sweep(): Promise<void> {
    if (!this.needed) return;
    const { sequence } = this;
    const { backend, llama, classes } = sequence.engine;
    const { heads } = llama.shape;
    const scores = new ScoreTable();
    const programs = sequence.programs(scores).flat();
    const buffers = this.#buffersFor(programs);
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
    await computeStatistics(sequence, buffers, this.#columns(), 0);
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
}
