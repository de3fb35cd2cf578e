import type { Expr } from "@winnow/core-tensor";

import type { Amount, AmountLike } from "./amount";
import type { HeadView } from "./head-view";
import type { Policy } from "./policy";
import type { PresetRows } from "./presets";

interface Named<Kind extends string> {
  readonly kind: Kind;
  /** A letter, then letters, digits and `_`; names of policies and strategies may have `-` between words. */
  readonly name: string;
  readonly description?: string;
}

/** Amounts as they stand in a text; each prints as such, so that `recent(${amount})` is text again. */
type Amounts = readonly (Amount & { toString(): string })[];

/** A policy of one's own: a name for an expression, with amounts as parameters. */
export interface ExpressionPlugin extends Named<"policy"> {
  /** A policy, or its text. */
  build(...amounts: Amounts): Policy | string;
}

/** A preset of one's own: candidates, of which each head takes the first that keeps enough of its attention. */
export interface PresetPlugin extends Named<"policy"> {
  /** Where the method comes from. */
  readonly source?: string;
  /** The share of attention that a head must keep, above 0 and at most 1, unless told otherwise; by default 0.9. */
  readonly threshold?: number;
  /** Where the rows come from that a prompt is profiled with; by default the prompt. */
  readonly rows?: PresetRows;
  /** Whether later tokens fall under the policy too, or are all kept; by default they are swept. */
  readonly generated?: "sweep" | "keep";
  /**
   * What stands for its one amount where none is given. Such a preset keeps no less with a greater amount, which can then be
   * found for a target in bytes.
   */
  readonly budget?: AmountLike;
  /** Policies or their texts, in the order in which they are tried; the last is for heads that no other fits. */
  candidates(...amounts: Amounts): readonly (Policy | string)[];
}

export type PolicyPlugin = ExpressionPlugin | PresetPlugin;

/** A statistic that is an expression over others. */
export interface ExpressionStatistic extends Named<"statistic"> {
  /** An expression, or its text. */
  readonly expr: Expr | string;
}

/** A statistic that is a function on the host: what it needs is downloaded at each cut. */
export interface HostStatistic extends Named<"statistic"> {
  /** Columns that `compute` reads, such as `mass`; and `keys`, `values` or `queries` for those of the view. */
  readonly needs: readonly string[];
  /**
   * One value a slot.
   *
   * @param layer all KV heads of the layer, `head` among them.
   */
  compute(head: HeadView, layer: readonly HeadView[]): Float32Array;
}

/** A statistic of one's own, usable in scores by its name. */
export type StatisticPlugin = ExpressionStatistic | HostStatistic;

/** What a strategy decides over: one layer, whole. */
export interface LayerView {
  readonly layer: number;
  /** How many layers the model has. */
  readonly layers: number;
  /** One a KV head, with the columns that the strategy asked for. */
  readonly heads: readonly HeadView[];
  /** The threshold that was asked for; null without one. */
  readonly recovery: number | null;
}

/** What a strategy decides over that looks at the whole model. */
export interface ModelView {
  readonly layers: readonly LayerView[];
  readonly recovery: number | null;
}

interface AnyStrategy extends Named<"strategy"> {
  /** Where the method comes from. */
  readonly source?: string;
  /** Columns that it reads, such as `mass`; and `keys`, `values` or `queries` for those of the views. */
  readonly needs: readonly string[];
  /** Where the rows come from that a prompt is profiled with; by default the prompt. */
  readonly rows?: PresetRows;
  /** Whether later tokens fall under the policies too, or are all kept; by default they are swept. */
  readonly generated?: "sweep" | "keep";
  /** What stands for its one amount where none is given, as a preset's does. */
  readonly budget?: AmountLike;
}

/** Decides for all heads of a layer at once, such as how they share a budget. */
export interface LayerStrategy extends AnyStrategy {
  readonly scope?: "layer";
  /** One policy, or its text, a head. */
  decide(layer: LayerView, ...amounts: Amounts): readonly (Policy | string)[];
}

/** Decides for all heads of all layers: none is cut before the last has been read. */
export interface ModelStrategy extends AnyStrategy {
  readonly scope: "model";
  /** One policy, or its text, by layer and head. */
  decide(model: ModelView, ...amounts: Amounts): readonly (readonly (Policy | string)[])[];
}

export type StrategyPlugin = LayerStrategy | ModelStrategy;

export type Plugin = PolicyPlugin | StatisticPlugin | StrategyPlugin;

type WithoutKind<T> = T extends unknown ? Omit<T, "kind"> : never;

/**
 * @example
 * ```ts
 * export default definePolicy({ name: "edges", build: (x = amountOf(0.2)) => union(sink(4), recent(x)) });
 * ```
 */
export function definePolicy(plugin: WithoutKind<PolicyPlugin>): PolicyPlugin {
  return { kind: "policy", ...plugin };
}

/**
 * @example
 * ```ts
 * export default defineStatistic({ name: "density", expr: "mass / valueNorm" });
 * ```
 */
export function defineStatistic(plugin: WithoutKind<StatisticPlugin>): StatisticPlugin {
  return { kind: "statistic", ...plugin };
}

/**
 * @example
 * ```ts
 * export default defineStrategy({
 *   name: "alternate",
 *   needs: [],
 *   decide: ({ heads }) => heads.map((_, h) => (h % 2 === 0 ? full() : recent(64))),
 * });
 * ```
 */
export function defineStrategy(plugin: WithoutKind<StrategyPlugin>): StrategyPlugin {
  return { kind: "strategy", ...plugin };
}
