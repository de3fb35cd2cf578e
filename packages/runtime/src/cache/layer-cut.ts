import {
  WinnowError,
  columnsOf,
  constant,
  tensor,
  withWaiting,
  type AttendRecord,
  type DeviceTensor,
  type KvScratch,
  type RowRange,
  type SelectProgram,
  type SlotView,
  type StatisticsSpec,
  type StoredColumn,
} from "@winnow/core-tensor";
import { ScoreTable, columnsNeeded, compile, type HeadView, type Policy } from "@winnow/kv-policies";
import {
  askQuestion,
  attentionShares,
  bandsOf,
  choose,
  price,
  type AttentionShares,
  type CandidatePrice,
  type ProfiledRows,
  type Question,
} from "@winnow/profiler";

import { computeStatistics } from "./computed-statistics";
import type { CutDecision } from "./cut-decision";
import type { LayerCache } from "./layer-cache";
import type { ReadingUnit } from "./reading-unit";
import type { HeadState, Sequence } from "./sequence";
import { SlotBuffers } from "./slot-buffers";
import { downloadViews } from "./slot-views";
import { KEEP_ALL, withinWindow } from "./within-window";

/** SnapKV's observation window (arXiv 2404.14469, section 4.2), for the column `windowMass`. */
const WINDOW_ROWS = 32;

/** How each column is recorded while a prompt is read, and joined with what is stored. */
const RECORDED: Readonly<
  Record<RecordedColumn, { readonly reduce: "sum" | "max"; readonly join: "sum" | "max" | "replace" }>
> = {
  mass: { reduce: "sum", join: "sum" },
  maxWeight: { reduce: "max", join: "max" },
  windowMass: { reduce: "sum", join: "replace" },
  lastMass: { reduce: "sum", join: "replace" },
  lastMaxWeight: { reduce: "max", join: "replace" },
};

type RecordedColumn = Exclude<StoredColumn, "position">;

/** What one head does from now on, and the program that cuts it. */
interface Choice extends Omit<HeadState, "kept"> {
  readonly program: SelectProgram;
}

/** What was measured of one KV head. */
interface Measured {
  readonly prices: readonly CandidatePrice[];
  readonly attention: AttentionShares | null;
}

/**
 * Cuts one layer after another while a prompt is read: records weights inside attention, prices the candidates from the
 * table's summary, chooses for each head, selects, and moves what is kept into pages.
 */
export class LayerCut implements Disposable {
  /** Time spent on the probe's rows, on pricing, deciding and selecting. */
  spentMs = 0;
  readonly #slots: SlotBuffers;
  readonly #records = new Map<RecordedColumn, { readonly into: DeviceTensor; readonly rows: readonly RowRange[] }>();
  readonly #table: DeviceTensor | null = null;
  readonly #scores = new ScoreTable();
  readonly #capacity: number;
  readonly #programs: readonly SelectProgram[];
  readonly #custom: readonly string[];

  /**
   * @param rowCount new rows of the prompt, which the sequence has taken note of already.
   */
  constructor(
    private readonly sequence: Sequence,
    private readonly rowCount: number,
    private readonly decision: CutDecision,
    private readonly profiled: ProfiledRows,
  ) {
    const { backend, decoder } = sequence.engine;
    const { heads } = decoder.shape;
    this.#capacity = Math.max(...sequence.layers.map(({ longest }) => longest)) + rowCount;
    const needs = decision.policies.map(columnsNeeded);
    const named = [
      ...needs.flatMap(({ stored, computed, custom }) => [...stored, ...computed, ...custom]),
      ...decision.needs,
    ];
    const computedNeeds = sequence.policy.registry.computed(named).flatMap((statistic) => statistic.needs);
    const columns = [...new Set([...named, ...computedNeeds])].filter((name) => name !== "position");
    this.#custom = named;
    this.#programs = decision.candidates.map((policy) => compile(policy, sequence.compileContext(this.#scores)));
    this.#slots = new SlotBuffers(backend, heads.kvHeads, this.#capacity, columns);
    const options = { label: "profile", category: "activations" } as const;
    for (const name of columns) {
      if (!isRecorded(name)) continue;
      const into = backend.allocate("f32", [heads.kvHeads, this.#capacity], options);
      this.#records.set(name, { into, rows: this.#rowsOf(name) });
    }
    if (decision.measures) {
      const bands = bandsOf(this.#programs, sequence.policy.reading).length + 1;
      this.#table = backend.allocate("f32", [heads.queryHeads, this.#capacity, bands], options);
    }
  }

  beginLayer(): void {
    const { backend } = this.sequence.engine;
    if (this.#table !== null) backend.clear(this.#table);
    for (const { into } of this.#records.values()) backend.clear(into);
  }

  /** What attention should record of a unit's rows, or null for nothing. */
  record(unit: ReadingUnit, positions: DeviceTensor): AttendRecord | null {
    if (this.#table === null && this.#records.size === 0) return null;
    return {
      firstRow: unit.start,
      positions,
      columnRows: this.rowCount,
      tables:
        this.#table === null
          ? []
          : [
              {
                into: this.#table,
                bands: bandsOf(this.#programs, this.sequence.policy.reading),
                rows: this.profiled.ranges,
              },
            ],
      columns: [...this.#records].map(([name, { into, rows }]) => ({ reduce: RECORDED[name].reduce, into, rows })),
    };
  }

  /** Decide for the layer's heads, and move what they keep from the scratch and the old pages into pages. */
  async cutLayer(l: number, scratch: KvScratch, positions: DeviceTensor, scratchBytes: number): Promise<void> {
    const { sequence } = this;
    const { backend, decoder } = sequence.engine;
    const { heads } = decoder.shape;
    const layer = sequence.layers[l];
    if (layer === undefined) throw new WinnowError("range", `layer ${l} has no cache`);
    const started = performance.now();
    const slots = this.#slots;
    this.#collect(layer, scratch, positions);
    await computeStatistics(sequence, slots, this.#custom, l * heads.kvHeads);
    const choices = await this.#choose(l, () => {
      this.#collect(layer, scratch, positions);
    });
    backend.select({
      slots: slots.table,
      headsPerLayer: heads.kvHeads,
      programs: choices.map(({ program }) => withinWindow(program, sequence.windowOf(l))),
      scores: this.#scores.expressions,
      now: sequence.tokens.length - 1,
      firstRow: l * heads.kvHeads,
      keep: slots.keep,
      kept: slots.kept,
    });
    const kept = [...(await backend.download(slots.kept))];
    this.#move(l, layer, scratch, choices, kept, scratchBytes);
    sequence.heads[l] = choices.map(({ program: _, ...state }, head) => ({ ...state, kept: kept[head] ?? 0 }));
    if (this.decision.measures) this.spentMs += performance.now() - started;
  }

  [Symbol.dispose](): void {
    this.#slots[Symbol.dispose]();
    for (const { into } of this.#records.values()) into[Symbol.dispose]();
    this.#table?.[Symbol.dispose]();
  }

  /** Put the layer's kept slots and the new rows, with what was recorded of them, side by side. */
  #collect(layer: LayerCache, scratch: KvScratch, positions: DeviceTensor): void {
    const { backend, decoder } = this.sequence.engine;
    const { heads } = decoder.shape;
    const recorded: StatisticsSpec["recorded"] = [...this.#records].map(([name, { into }]) => ({
      name,
      reduce: RECORDED[name].join,
      from: into,
    }));
    backend.statistics({
      heads,
      paged: layer.paged,
      scratch: { kv: scratch, start: 0, count: this.rowCount },
      positions,
      flags: this.sequence.flags,
      recorded,
      into: this.#slots.table,
      firstRow: 0,
    });
  }

  #move(
    l: number,
    layer: LayerCache,
    scratch: KvScratch,
    choices: readonly Choice[],
    kept: readonly number[],
    scratchBytes: number,
  ): void {
    const { sequence } = this;
    const { backend, decoder } = sequence.engine;
    const { heads } = decoder.shape;
    const extended = layer.longest > 0;
    const shared = this.#layerColumns(choices);
    choices.forEach(({ policy }, head) => {
      const slots = (layer.lengths[head] ?? 0) + this.rowCount;
      const dropped = layer.columnsOf(head).includes("position") || (kept[head] ?? 0) < slots;
      layer.setColumns(head, this.#storedColumns(policy, shared, { dropped, windowed: sequence.windowOf(l) !== null }));
      layer.resize(head, Math.max(layer.lengths[head] ?? 0, kept[head] ?? 0));
    });
    sequence.noteBytes(scratchBytes);
    const common = { heads, paged: layer.paged, slots: this.#slots.table, keep: this.#slots.keep, firstRow: 0 };
    if (extended) backend.compact(common);
    backend.gather({ ...common, scratch, start: 0, count: this.rowCount });
    kept.forEach((length, head) => {
      layer.resize(head, length);
    });
    // What waited was added when the slots were collected, and moved with them.
    layer.pending = false;
  }

  /** What a head stores beside its slots from the cut on. */
  #storedColumns(
    policy: Policy,
    shared: ReadonlySet<string>,
    { dropped, windowed }: { readonly dropped: boolean; readonly windowed: boolean },
  ): readonly StoredColumn[] {
    const { generated, registry } = this.sequence.policy;
    // While a head has dropped nothing, position and slot are one; but for a window, nothing will drop any.
    const position = dropped || windowed ? ["position"] : [];
    if (generated === "keep") return withWaiting(new Set(position));
    const { stored, custom } = columnsNeeded(policy);
    const names = new Set([...shared, ...custom]);
    const own = new Set<string>([
      ...(windowed ? position : []),
      ...stored,
      ...shared,
      ...registry.computed([...names]).flatMap((statistic) => statistic.needs),
    ]);
    return withWaiting(own);
  }

  /** Columns that every head of the layer has to store, because a head's policy ranks the slots of all of them. */
  #layerColumns(choices: readonly Choice[]): ReadonlySet<string> {
    const ranks = choices.flatMap(({ program }) => program.ranks).filter(({ scope }) => scope === "layer");
    return new Set(ranks.flatMap(({ score }) => columnsOf(this.#scores.expressions[score] ?? constant(0))));
  }

  /** @param recollect fills the slot table again, after tokens have got new classes. */
  async #choose(l: number, recollect: () => void): Promise<Choice[]> {
    const { decision, sequence } = this;
    const context = sequence.compileContext(this.#scores);
    const before = sequence.heads[l];
    switch (decision.kind) {
      case "carryOn":
        return (before ?? []).map(({ kept: _, ...state }) => ({
          ...state,
          program: sequence.policy.generated === "keep" ? KEEP_ALL : compile(state.policy, context),
        }));
      case "given":
        return (decision.heads[l] ?? []).map((policy) => ({
          policy,
          candidate: 0,
          recovery: policy.node.kind === "full" ? 1 : null,
          measured: [],
          attention: null,
          program: compile(policy, context),
        }));
      case "strategy": {
        const heads = await this.#headViews(l);
        const policies = decision.strategy.decide({ layer: l, heads, recovery: decision.threshold });
        for (const policy of policies) this.#expectColumns(policy, decision.strategy.name);
        if (sequence.reserveTokenSets(policies)) recollect();
        const programs = policies.map((policy) => compile(policy, context));
        const measured = await this.#measure(l, programs);
        return policies.map((policy, head) => {
          const { prices = [], attention = null } = measured[head] ?? {};
          return {
            policy,
            candidate: 0,
            recovery: prices[head]?.recovery ?? null,
            measured: [],
            attention,
            program: programs[head] ?? KEEP_ALL,
          };
        });
      }
      case "search": {
        const measured = await this.#measure(l, this.#programs);
        return measured.map(({ prices, attention }, head) => {
          const candidate = choose(prices, decision.threshold, before?.[head]?.candidate ?? 0);
          const policy = decision.candidates[candidate];
          const program = this.#programs[candidate];
          if (policy === undefined || program === undefined)
            throw new WinnowError("policy", "a preset has no candidates");
          return {
            policy,
            candidate,
            recovery: prices[candidate]?.recovery ?? null,
            measured: prices.map((measure, i) => ({ policy: decision.candidates[i]?.text ?? "", ...measure })),
            attention,
            program,
          };
        });
      }
    }
  }

  /** @throws WinnowError `plugin` when a policy ranks by what the strategy did not ask for. */
  #expectColumns(policy: Policy, strategy: string): void {
    const { stored, computed, custom } = columnsNeeded(policy);
    const missing = [...stored, ...computed, ...custom].find(
      (name) => name !== "position" && !(name in this.#slots.table.columns),
    );
    if (missing !== undefined) {
      throw new WinnowError(
        "plugin",
        `the strategy "${strategy}" gives a head the policy "${policy.text}", which ranks by "${missing}"; name that in the strategy's needs`,
      );
    }
  }

  /** What the table says of each KV head: the price of every program, and where attention goes. */
  async #measure(l: number, programs: readonly SelectProgram[]): Promise<Measured[]> {
    const { heads } = this.sequence.engine.decoder.shape;
    if (this.#table === null) return Array.from({ length: heads.kvHeads }, () => ({ prices: [], attention: null }));
    const views = await this.#columns(l);
    const { reading, group } = this.sequence.policy;
    const question = askQuestion(programs, this.#scores.expressions, views, this.#capacity, reading);
    const summary = await this.#summary(l, question, this.#table);
    const { queryHeads, kvHeads } = heads;
    const shares = attentionShares(question, summary, { queryHeads, kvHeads });
    return price(question, summary, { rows: this.profiled.count, queryHeads, kvHeads, group }).map((prices, head) => ({
      prices,
      attention: shares[head] ?? null,
    }));
  }

  async #summary(
    l: number,
    question: Question,
    table: DeviceTensor,
  ): Promise<{ sums: Float32Array; counts: Uint32Array }> {
    const { sequence } = this;
    const { backend, decoder } = sequence.engine;
    const { heads } = decoder.shape;
    const { classRows, classCount, buckets, bands } = question;
    const options = { label: "summary", category: "activations" } as const;
    using classes = backend.upload(tensor("u32", [classRows, this.#capacity], question.classes), options);
    using sums = backend.allocate("f32", [heads.queryHeads, classCount, buckets, bands.length + 1], options);
    using counts = backend.allocate("u32", [heads.kvHeads, classCount, buckets], options);
    backend.summarise({
      heads,
      table,
      slots: this.#slots.table,
      now: sequence.tokens.length - 1,
      firstRow: l * heads.kvHeads,
      classes,
      classCount,
      scales: question.scales,
      sums,
      counts,
    });
    const summary = {
      sums: Float32Array.from(await backend.download(sums)),
      counts: Uint32Array.from(await backend.download(counts)),
    };
    if (summary.sums.some(Number.isNaN)) {
      throw new WinnowError(
        "numeric",
        `the attention weights of layer ${l} are not numbers; the model's weights are damaged or overflow`,
      );
    }
    return summary;
  }

  /** Positions and flags of the layer's columns: known here while nothing is kept of what came before, else the device's. */
  async #columns(l: number): Promise<SlotView[]> {
    const { sequence } = this;
    const { kvHeads } = sequence.engine.decoder.shape.heads;
    const row = l * kvHeads;
    if (sequence.layers[l]?.longest !== 0) return downloadViews(sequence, this.#slots, [], row);
    const count = this.rowCount;
    // What came before the new rows, and was evicted whole, is no column.
    const first = sequence.tokens.length - count;
    const position = Uint32Array.from({ length: count }, (_, i) => first + i);
    const flags = sequence.classes.flagsOf(sequence.tokens.slice(first));
    const now = sequence.tokens.length - 1;
    return Array.from({ length: kvHeads }, (_, head) => ({
      row: row + head,
      count,
      now,
      position,
      flags,
      columns: {},
    }));
  }

  async #headViews(l: number): Promise<HeadView[]> {
    const names = Object.keys(this.#slots.table.columns);
    return downloadViews(this.sequence, this.#slots, names, l * this.sequence.engine.decoder.shape.heads.kvHeads);
  }

  #rowsOf(name: RecordedColumn): readonly RowRange[] {
    const last = (rows: number): RowRange[] => [
      { start: Math.max(0, this.rowCount - rows), end: this.rowCount, stride: 1 },
    ];
    if (name === "windowMass") return last(WINDOW_ROWS);
    if (name === "lastMass" || name === "lastMaxWeight") return last(1);
    return this.profiled.ranges;
  }
}

function isRecorded(name: string): name is RecordedColumn {
  return Object.hasOwn(RECORDED, name);
}
