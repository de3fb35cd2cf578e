import { WinnowError, type AttendRecord, type DeviceTensor, type KvScratch, type Rows } from "@winnow/core-tensor";
import { full } from "@winnow/kv-policies";
import { profiledRows, type ProfiledRows } from "@winnow/profiler";

import type { Engine } from "../engine";
import type { Angle } from "./angle";
import type { CachePolicy } from "./cache-policy";
import { decisionFor } from "./cut-decision";
import { CutJudge } from "./cut-judge";
import { probeChunks, type ProbeSource } from "./extend";
import { keepAll } from "./keep-all";
import { LayerProfile } from "./layer-profile";
import type { PromptCut } from "./prompt-cut";
import { readPrompt, type ReadOptions } from "./read-prompt";
import type { ReadingUnit } from "./reading-unit";
import { Sequence } from "./sequence";
import { cutWhole } from "./whole-cut";

/**
 * A prompt that was read once, with everything kept and everything noted that some policies go by: each of them can then cut
 * a copy of its own. A prompt is attended to in full whatever the policy, so a copy is what reading it anew would give.
 *
 * @example
 * ```ts
 * using observed = await ObservedPrompt.read(model.engine, policies, ids, probe);
 * using cut = await observed.cut(policies[0]);
 * ```
 */
export class ObservedPrompt implements Disposable {
  private constructor(
    /** Every slot of the prompt. */
    readonly sequence: Sequence,
    private readonly rows: ReadonlyMap<CachePolicy, ProfiledRows>,
    /** By angle, then by layer. */
    private readonly profiles: ReadonlyMap<string, readonly LayerProfile[]>,
  ) {}

  /**
   * @param policies those that will cut it.
   * @param probe what the rows of policies that profile a probe come from.
   * @throws WinnowError `context` when the prompt does not fit.
   */
  static async read(
    engine: Engine,
    policies: readonly CachePolicy[],
    ids: readonly number[],
    probe: ProbeSource | null,
    options: ReadOptions = {},
  ): Promise<ObservedPrompt> {
    const [first] = policies;
    if (first === undefined) throw new WinnowError("range", "a prompt is observed for no policy; give at least one");
    const whole = { kind: "search", candidates: [full()], threshold: null } as const;
    const policy = { text: "full", decision: whole, target: null, generated: "keep", drift: "ignore" } as const;
    const sequence = new Sequence(engine, { ...first, ...policy });
    const wantsProbe = policies.some(({ rows }) => rows === "probe");
    const chunks = wantsProbe && probe !== null ? probeChunks(probe, engine.context - ids.length) : [];
    const probeRows = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    const rows = new Map(policies.map((policy) => [policy, profiledRows(policy.rows, ids.length, probeRows)]));
    const profiles = new Map<string, LayerProfile[]>();
    const cut = (): PromptCut => {
      const angles = new Map<string, Angle>();
      for (const [policy, profiled] of rows) {
        addAngle(
          angles,
          new CutJudge(sequence, decisionFor(sequence, policy.decision, policy), profiled, policy).angle,
        );
      }
      for (const key of angles.keys()) profiles.set(key, []);
      return new Observer(sequence, ids.length, angles, profiles);
    };
    try {
      await readPrompt(sequence, ids, chunks, cut, options);
      const [only] = whole.candidates;
      sequence.heads = sequence.layers.map(({ lengths }) =>
        lengths.map((kept) => ({
          policy: only,
          candidate: 0,
          recovery: 1,
          measured: [],
          attention: null,
          delays: 0,
          kept,
        })),
      );
    } catch (error) {
      for (const profile of [...profiles.values()].flat()) profile[Symbol.dispose]();
      sequence[Symbol.dispose]();
      throw error;
    }
    return new ObservedPrompt(sequence, rows, profiles);
  }

  /**
   * A copy of the sequence, cut as one of the policies says.
   *
   * @throws WinnowError `range` for a policy that the prompt was not read for.
   */
  async cut(policy: CachePolicy): Promise<Sequence> {
    const profiled = this.rows.get(policy);
    if (profiled === undefined) {
      throw new WinnowError(
        "range",
        `a prompt is cut by "${policy.text}", and was not read for it; name it when reading`,
      );
    }
    const sequence = this.sequence.fork(policy);
    try {
      const judge = new CutJudge(sequence, decisionFor(sequence, policy.decision), profiled);
      const profiles = this.profiles.get(keyOf(judge.angle));
      if (profiles === undefined) throw new WinnowError("range", `nothing was seen of the prompt for "${policy.text}"`);
      sequence.heads = [];
      await cutWhole(judge, profiles);
      return sequence;
    } catch (error) {
      sequence[Symbol.dispose]();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    for (const profile of [...this.profiles.values()].flat()) profile[Symbol.dispose]();
    this.sequence[Symbol.dispose]();
  }
}

/** Angles over the same rows with the same bands are one. */
function keyOf({ profiled, bands }: Angle): string {
  return JSON.stringify([profiled.ranges, bands]);
}

function addAngle(angles: Map<string, Angle>, angle: Angle): void {
  const known = angles.get(keyOf(angle));
  const columns = new Set([...(known?.columns ?? []), ...angle.columns]);
  const vectors = new Set([...(known?.vectors ?? []), ...angle.vectors]);
  angles.set(keyOf(angle), { ...angle, columns: [...columns], vectors: [...vectors] });
}

/** Keeps every layer of a prompt, and what was seen of it from each angle. */
class Observer implements PromptCut {
  spentMs = 0;
  #newest: readonly LayerProfile[] = [];

  constructor(
    private readonly sequence: Sequence,
    private readonly rowCount: number,
    private readonly angles: ReadonlyMap<string, Angle>,
    private readonly profiles: ReadonlyMap<string, LayerProfile[]>,
  ) {}

  beginLayer(): void {
    this.#newest = [...this.angles].map(([key, angle]) => {
      const profile = new LayerProfile(this.sequence, this.rowCount, angle);
      this.profiles.get(key)?.push(profile);
      return profile;
    });
  }

  get watchesQueries(): boolean {
    return this.#newest.some((profile) => profile.watchesQueries);
  }

  async watch(unit: ReadingUnit, qkv: Rows): Promise<void> {
    for (const profile of this.#newest) if (profile.watchesQueries) await profile.watch(unit, qkv);
  }

  record(unit: ReadingUnit, positions: DeviceTensor): AttendRecord | null {
    const records = this.#newest.flatMap((profile) => profile.record(unit, positions) ?? []);
    const [first] = records;
    if (first === undefined) return null;
    return {
      ...first,
      tables: records.flatMap(({ tables }) => tables),
      columns: records.flatMap(({ columns }) => columns),
    };
  }

  async cutLayer(l: number, scratch: KvScratch, positions: DeviceTensor): Promise<void> {
    for (const profile of this.#newest) await profile.collect(l, scratch, positions);
    const [first] = this.#newest;
    if (first !== undefined) keepAll(this.sequence, l, first, scratch);
  }

  finish(): Promise<void> {
    return Promise.resolve();
  }

  [Symbol.dispose](): void {
    this.#newest = [];
  }
}
