import { WinnowError, tensor, type DeviceTensor, type SelectProgram, type SlotView } from "@winnow/core-tensor";
import {
  ScoreTable,
  columnsNeeded,
  compile,
  shortestRatio,
  type CompileContext,
  type LayerView,
  type Policy,
  type Strategy,
} from "@winnow/kv-policies";
import {
  askQuestion,
  attentionShares,
  choose,
  price,
  type AttentionShares,
  type CandidatePrice,
  type ProfiledRows,
  type Question,
} from "@winnow/profiler";

import { angleOf, columnNames, type Angle } from "./angle";
import type { CutDecision } from "./cut-decision";
import type { LayerProfile } from "./layer-profile";
import type { HeadState, Sequence } from "./sequence";
import { expectSweepable } from "./sweepable";
import { KEEP_ALL } from "./within-window";

/** Shares of a head are whole numbers of millionths, as candidates are whole numbers. */
const MILLION = 1e6;

/** What one head does from now on, and the program that cuts it. */
export interface Choice extends Omit<HeadState, "kept"> {
  readonly program: SelectProgram;
}

/** What was measured of one KV head. */
export interface Measured {
  readonly prices: readonly CandidatePrice[];
  readonly attention: AttentionShares | null;
}

/** Decides what each head of a sequence keeps, from what was seen of its layer. */
export class CutJudge {
  /** What the programs' score numbers mean. */
  readonly scores = new ScoreTable();
  /** What has to be seen of each layer. */
  readonly angle: Angle;
  readonly #candidates: readonly SelectProgram[];

  constructor(
    readonly sequence: Sequence,
    readonly decision: CutDecision,
    profiled: ProfiledRows,
    /** Another than the sequence's own where it is only asked what has to be seen. */
    policy = sequence.policy,
  ) {
    this.#candidates = decision.candidates.map((candidate) => compile(candidate, this.#context));
    this.angle = angleOf(policy, decision, this.#candidates, profiled);
  }

  /** Decide for the heads of one layer. */
  async decide(l: number, profile: LayerProfile): Promise<readonly Choice[]> {
    const { decision, sequence } = this;
    switch (decision.kind) {
      case "carryOn": {
        const keeps = sequence.policy.generated === "keep";
        return (sequence.heads[l] ?? []).map(({ kept: _, ...state }) => ({
          ...state,
          program: keeps ? KEEP_ALL : compile(state.policy, this.#context),
        }));
      }
      case "given":
        return this.#given(decision.heads[l] ?? []);
      case "strategy": {
        const policies = decision.strategy.decide(await this.view(l, profile));
        return this.adopt(decision.strategy, policies, l, profile);
      }
      case "greatest":
        return this.priced(l, profile, this.greatest(l, await this.view(l, profile), decision.weight));
      case "search":
        return this.search(l, await this.measure(l, profile), decision.threshold);
    }
  }

  /** What a strategy sees of a layer. */
  async view(l: number, profile: LayerProfile): Promise<LayerView> {
    const { decision } = this;
    return {
      layer: l,
      layers: this.sequence.layers.length,
      heads: await profile.views(l),
      recovery: decision.kind === "strategy" ? decision.threshold : null,
    };
  }

  /**
   * The policies that a strategy gives the heads of a layer.
   *
   * @throws WinnowError `plugin` when one ranks by what the strategy did not ask for.
   */
  async adopt(
    strategy: Strategy,
    policies: readonly Policy[],
    l: number,
    profile: LayerProfile,
  ): Promise<readonly Choice[]> {
    for (const policy of policies) {
      expectColumns(policy, strategy, profile);
      expectSweepable(policy, this.sequence.policy);
    }
    if (this.sequence.reserveTokenSets(policies)) await profile.classify();
    return this.priced(l, profile, this.#given(policies));
  }

  /** The same choices with what the table says of them. */
  async priced(l: number, profile: LayerProfile, choices: readonly Choice[]): Promise<readonly Choice[]> {
    const programs = choices.map(({ program }) => program);
    const measured = await this.#measured(l, profile, programs);
    return choices.map((choice, head) => {
      const { prices = [], attention = null } = measured[head] ?? {};
      return { ...choice, recovery: prices[head]?.recovery ?? choice.recovery, attention };
    });
  }

  /**
   * Every slot that some row gave at least so much of its attention. A head that was cut before keeps no less of what there is
   * now than it did.
   */
  greatest(l: number, { heads }: LayerView, weight: number): readonly Choice[] {
    const { decision, sequence } = this;
    if (decision.kind !== "greatest") throw new WinnowError("range", "no weight decides here");
    const shares = heads.map(({ columns, count, length }, head) => {
      const weights = columns.maxWeight?.subarray(0, count) ?? new Float32Array(0);
      const kept = weights.reduce((sum, one) => sum + (one >= weight ? 1 : 0), 0);
      return Math.max(sequence.heads[l]?.[head]?.candidate ?? 0, Math.ceil((MILLION * kept) / length));
    });
    const policies = shares.map((share, head) => {
      const { length } = heads[head] ?? { length: 1 };
      const slots = Math.floor((share * length) / MILLION);
      return decision.keeping(slots === 0 ? null : shortestRatio(slots, length), length);
    });
    return this.#given(policies).map((choice, head) => ({ ...choice, candidate: shares[head] ?? 0 }));
  }

  /** What the table says of each KV head: the price of every candidate, and where attention goes. */
  async measure(l: number, profile: LayerProfile): Promise<readonly Measured[]> {
    return this.#measured(l, profile, this.#candidates);
  }

  /** The first candidate of each head that reaches a threshold; the first of all without one. */
  search(l: number, measured: readonly Measured[], threshold: number | null): readonly Choice[] {
    const { candidates } = this.decision;
    const before = this.sequence.heads[l];
    return measured.map(({ prices, attention }, head) => {
      const candidate = choose(prices, threshold, before?.[head]?.candidate ?? 0);
      const policy = candidates[candidate];
      const program = this.#candidates[candidate];
      if (policy === undefined || program === undefined) throw new WinnowError("policy", "a preset has no candidates");
      return {
        policy,
        candidate,
        recovery: prices[candidate]?.recovery ?? null,
        measured: prices.map((measure, i) => ({ policy: candidates[i]?.text ?? "", ...measure })),
        attention,
        delays: 0,
        program,
      };
    });
  }

  get #context(): CompileContext {
    return this.sequence.compileContext(this.scores);
  }

  #given(policies: readonly Policy[]): readonly Choice[] {
    return policies.map((policy) => ({
      policy,
      candidate: 0,
      recovery: policy.node.kind === "full" ? 1 : null,
      measured: [],
      attention: null,
      delays: 0,
      program: compile(policy, this.#context),
    }));
  }

  async #measured(l: number, profile: LayerProfile, programs: readonly SelectProgram[]): Promise<Measured[]> {
    const { heads } = this.sequence.engine.decoder.shape;
    const { queryHeads, kvHeads } = heads;
    if (profile.table === null) return Array.from({ length: kvHeads }, () => ({ prices: [], attention: null }));
    const views = await this.#columns(l, profile);
    const { reading, group } = this.sequence.policy;
    const question = askQuestion(programs, this.scores.expressions, views, profile.capacity, reading);
    const summary = await this.#summary(l, question, profile, profile.table);
    const shares = attentionShares(question, summary, { queryHeads, kvHeads });
    const rows = profile.angle.profiled.count;
    return price(question, summary, { rows, queryHeads, kvHeads, group }).map((prices, head) => ({
      prices,
      attention: shares[head] ?? null,
    }));
  }

  async #summary(
    l: number,
    question: Question,
    { slots, capacity }: LayerProfile,
    table: DeviceTensor,
  ): Promise<{ sums: Float32Array; counts: Uint32Array }> {
    const { sequence } = this;
    const { backend, decoder } = sequence.engine;
    const { heads } = decoder.shape;
    const { classRows, classCount, buckets, bands } = question;
    const options = { label: "summary", category: "activations" } as const;
    using classes = backend.upload(tensor("u32", [classRows, capacity], question.classes), options);
    using sums = backend.allocate("f32", [heads.queryHeads, classCount, buckets, bands.length + 1], options);
    using counts = backend.allocate("u32", [heads.kvHeads, classCount, buckets], options);
    backend.summarise({
      heads,
      table,
      slots: slots.table,
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
  async #columns(l: number, profile: LayerProfile): Promise<SlotView[]> {
    const { capacity, rowCount } = profile;
    const { sequence } = this;
    const { kvHeads } = sequence.engine.decoder.shape.heads;
    const row = l * kvHeads;
    if (capacity !== rowCount) return profile.views(l, []);
    // What came before the new rows, and was evicted whole, is no column.
    const first = sequence.tokens.length - rowCount;
    const position = Uint32Array.from({ length: rowCount }, (_, i) => first + i);
    const flags = sequence.classes.flagsOf(sequence.tokens.slice(first));
    const now = sequence.tokens.length - 1;
    return Array.from({ length: kvHeads }, (_, head) => ({
      row: row + head,
      count: rowCount,
      now,
      position,
      flags,
      columns: {},
    }));
  }
}

/** @throws WinnowError `plugin` when a policy ranks by what the strategy did not ask for. */
function expectColumns(policy: Policy, strategy: Strategy, { slots }: LayerProfile): void {
  const missing = columnNames(columnsNeeded(policy)).find(
    (name) => name !== "position" && !(name in slots.table.columns),
  );
  if (missing !== undefined) {
    throw new WinnowError(
      "plugin",
      `the strategy "${strategy.name}" gives a head the policy "${policy.text}", which ranks by "${missing}"; name that in the strategy's needs`,
    );
  }
}
