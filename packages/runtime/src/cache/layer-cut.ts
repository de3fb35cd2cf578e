import { WinnowError, type AttendRecord, type DeviceTensor, type KvScratch, type Rows } from "@winnow/core-tensor";

import type { Choice, CutJudge } from "./cut-judge";
import { LayerProfile } from "./layer-profile";
import type { PromptCut } from "./prompt-cut";
import type { ReadingUnit } from "./reading-unit";
import { selectSlots } from "./select-slots";
import { sharedColumns, storedColumns } from "./stored-columns";
import { upgradesOf } from "./upgrade-chain";

/**
 * Cuts one layer after another while a prompt is read: what is seen of a layer decides for its heads, and only what they
 * keep goes into pages.
 */
export class LayerCut implements PromptCut {
  spentMs = 0;
  readonly #profile: LayerProfile;

  /**
   * @param rowCount new rows of the prompt, which the sequence has taken note of already.
   */
  constructor(
    private readonly judge: CutJudge,
    rowCount: number,
  ) {
    this.#profile = new LayerProfile(judge.sequence, rowCount, judge.angle);
  }

  beginLayer(): void {
    this.#profile.clear();
  }

  get watchesQueries(): boolean {
    return this.#profile.watchesQueries;
  }

  watch(unit: ReadingUnit, qkv: Rows): Promise<void> {
    return this.#profile.watch(unit, qkv);
  }

  record(unit: ReadingUnit, positions: DeviceTensor): AttendRecord | null {
    return this.#profile.record(unit, positions);
  }

  async cutLayer(l: number, scratch: KvScratch, positions: DeviceTensor, scratchBytes: number): Promise<void> {
    const { judge } = this;
    const started = performance.now();
    await this.#profile.collect(l, scratch, positions);
    const choices = await judge.decide(l, this.#profile);
    const kept = await selectSlots(judge, l, this.#profile, choices);
    this.#move(l, scratch, choices, kept, scratchBytes);
    judge.sequence.heads[l] = choices.map(({ program: _, ...state }, head) => ({ ...state, kept: kept[head] ?? 0 }));
    if (judge.decision.measures) this.spentMs += performance.now() - started;
  }

  finish(): Promise<void> {
    return Promise.resolve();
  }

  [Symbol.dispose](): void {
    this.#profile[Symbol.dispose]();
  }

  /** Move what is kept from the scratch and the old pages into pages. */
  #move(
    l: number,
    scratch: KvScratch,
    choices: readonly Choice[],
    kept: readonly number[],
    scratchBytes: number,
  ): void {
    const { sequence } = this.judge;
    const { rowCount, slots } = this.#profile;
    const { backend, decoder } = sequence.engine;
    const { heads } = decoder.shape;
    const layer = sequence.layers[l];
    if (layer === undefined) throw new WinnowError("range", `layer ${l} has no cache`);
    const extended = layer.longest > 0;
    const shared = sharedColumns(this.judge, choices);
    choices.forEach(({ policy, candidate }, head) => {
      const before = (layer.lengths[head] ?? 0) + rowCount;
      const dropped = layer.columnsOf(head).includes("position") || (kept[head] ?? 0) < before;
      const upgrades = upgradesOf(sequence, { candidate });
      const use = { dropped, windowed: sequence.windowOf(l) !== null, shared, upgrades };
      layer.setColumns(head, storedColumns(policy, use, sequence.policy));
      layer.resize(head, Math.max(layer.lengths[head] ?? 0, kept[head] ?? 0));
    });
    sequence.noteBytes(scratchBytes);
    const common = { heads, paged: layer.paged, slots: slots.table, keep: slots.keep, firstRow: 0 };
    if (extended) backend.compact(common);
    backend.gather({ ...common, scratch, start: 0, count: rowCount });
    kept.forEach((length, head) => {
      layer.resize(head, length);
    });
    // What waited was added when the slots were collected, and moved with them.
    layer.pending = false;
  }
}
