import { WinnowError, type AttendRecord, type DeviceTensor, type KvScratch, type Rows } from "@winnow/core-tensor";

import type { CutJudge } from "./cut-judge";
import { keepAll } from "./keep-all";
import { LayerProfile } from "./layer-profile";
import type { PromptCut } from "./prompt-cut";
import type { ReadingUnit } from "./reading-unit";
import { cutWhole } from "./whole-cut";

/**
 * Keeps every layer as it is until all have been read, and then cuts them together: for what no layer can decide by itself,
 * such as a target in bytes. The whole cache exists for a while, and `peakBytes` says so.
 */
export class DeferredCut implements PromptCut {
  spentMs = 0;
  readonly #profiles: LayerProfile[] = [];

  /**
   * @param rowCount new rows of the prompt, which the sequence has taken note of already.
   */
  constructor(
    private readonly judge: CutJudge,
    private readonly rowCount: number,
  ) {}

  beginLayer(): void {
    this.#profiles.push(new LayerProfile(this.judge.sequence, this.rowCount, this.judge.angle));
  }

  get watchesQueries(): boolean {
    return this.#newest.watchesQueries;
  }

  watch(unit: ReadingUnit, qkv: Rows): Promise<void> {
    return this.#newest.watch(unit, qkv);
  }

  record(unit: ReadingUnit, positions: DeviceTensor): AttendRecord | null {
    return this.#newest.record(unit, positions);
  }

  async cutLayer(l: number, scratch: KvScratch, positions: DeviceTensor, scratchBytes: number): Promise<void> {
    const { sequence } = this.judge;
    const profile = this.#newest;
    await profile.collect(l, scratch, positions);
    keepAll(sequence, l, profile, scratch);
    sequence.noteBytes(scratchBytes);
  }

  async finish(): Promise<void> {
    const started = performance.now();
    await cutWhole(this.judge, this.#profiles);
    this.spentMs += performance.now() - started;
  }

  [Symbol.dispose](): void {
    for (const profile of this.#profiles) profile[Symbol.dispose]();
  }

  get #newest(): LayerProfile {
    const profile = this.#profiles.at(-1);
    if (profile === undefined) throw new WinnowError("range", "no layer was begun");
    return profile;
  }
}
