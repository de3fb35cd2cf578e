import { WinnowError } from "@winnow/core-tensor";

import { amountOf, count, formatAmount, ratio, type Amount, type AmountLike } from "./amount";
import type { Policy } from "./policy";
import { frequent, full, none, punctuation, recent, sink, special, top, union } from "./policy";

/** Where the rows come from that a prompt is profiled with. */
export type PresetRows = "prompt" | "late" | "probe";

/** A way to cut a cache that has a name: candidates, and how one of them is chosen for each head. */
export interface Preset {
  readonly name: string;
  /** The name with its parameters, as it would be typed. */
  readonly text: string;
  /** Where the method comes from. */
  readonly source: string;
  /** The share of attention that a head must keep, unless told otherwise; null where nothing is searched. */
  readonly threshold: number | null;
  readonly rows: PresetRows;
  /** Whether `recent(w)` is a window of every profiled row, or what is recent where the prompt is cut. */
  readonly reading: "row" | "cut";
  /** Whether later tokens fall under the policy too, or are all kept. */
  readonly generated: "sweep" | "keep";
  /** In the order in which they are tried; the first that reaches the threshold is chosen, and the last if none does. */
  readonly candidates: readonly Policy[];
  /**
   * What decides where no recovery is asked for; null where that is the threshold, or nothing is searched. It keeps every slot
   * that some profiled row gave more than `weight` of its attention: `keeping` is the policy where they are a share x of so many
   * tokens, or none.
   */
  readonly greatest: {
    readonly weight: number;
    readonly keeping: (x: Amount | null, tokens: number) => Policy;
  } | null;
  /** The same with another share of the length that each head keeps; null where there is no such share. */
  readonly withBudget: ((x: AmountLike) => Preset) | null;
}

/** The full cache: nothing is ever dropped. */
export function fullPreset(): Preset {
  return {
    name: "full",
    text: "full",
    source: "the whole cache",
    threshold: null,
    rows: "prompt",
    reading: "row",
    generated: "keep",
    candidates: [full()],
    greatest: null,
    withBudget: null,
  };
}

/**
 * FastGen in paper mode (arXiv 2310.01801, section 3.2 and algorithm 1): the chain of five candidates, profiled on all
 * rows of the prompt, applied again while generating.
 */
export function fastgen(frequentShare: AmountLike = 0.3, recentShare: AmountLike = 0.3): Preset {
  const hitters = frequent(frequentShare);
  const local = recent(recentShare);
  return {
    name: "fastgen",
    text: named("fastgen", [frequentShare, recentShare], [0.3, 0.3]),
    source: "FastGen, arXiv 2310.01801, section 3.2",
    threshold: 0.95,
    rows: "prompt",
    reading: "row",
    generated: "sweep",
    candidates: [
      special(),
      union(special(), punctuation()),
      union(special(), punctuation(), hitters),
      union(special(), punctuation(), hitters, local),
      full(),
    ],
    greatest: null,
    withBudget: null,
  };
}

/** Shares of the prompt that the ladder of `adaptive` tries, in percent. */
const LADDER = [5, 10, 20, 30, 40, 50, 60, 70, 80, 90];
/** What a row of the probe may lose on one token: less costs bytes, and hardly any answer (docs/evaluation.md). */
const LEAST_WEIGHT = 0.1;
/** In a shorter prompt what is kept by rule, in every head, would be a good part of what may be kept at all. */
const LEAST_TOKENS = 64;

/**
 * Beyond the paper: what a probe, a short use of the prompt, attends to. Each head keeps the tokens that some row of the
 * probe gave more than a tenth of its attention, and from 64 tokens on special ones and the last four; so all heads share one
 * budget, which goes where something is looked up. Where a recovery is asked for, each head takes the least rung of a ladder that has it.
 * What is generated afterwards is kept.
 */
export function adaptive(): Preset {
  return {
    name: "adaptive",
    text: "adaptive",
    source: "Winnow: the greatest weights on probe rows (after KVzip, arXiv 2505.23416)",
    threshold: 0.9,
    rows: "probe",
    reading: "cut",
    generated: "keep",
    candidates: [keepingGreatest(null), ...LADDER.map((percent) => keepingGreatest(ratio(percent / 100))), full()],
    greatest: {
      weight: LEAST_WEIGHT,
      keeping: (x, tokens) => (tokens < LEAST_TOKENS ? greatestAlone(x) : keepingGreatest(x)),
    },
    withBudget: null,
  };
}

/** A share of the greatest weights, and nothing by rule. */
function greatestAlone(x: Amount | null): Policy {
  return x === null ? none() : top("maxWeight", x);
}

/** Special tokens, the last four, and a share of the greatest weights. */
function keepingGreatest(x: Amount | null): Policy {
  return x === null ? union(special(), recent(4)) : union(special(), top("maxWeight", x), recent(4));
}

/** StreamingLLM (arXiv 2309.17453): the first positions and a window, which is what a budget means. */
export function sinkRecent(sinks: AmountLike = 4, window: AmountLike = 0.3): Preset {
  const first = amountOf(sinks);
  if (first.kind === "ratio")
    throw new WinnowError(
      "policy",
      `sink+recent: the sinks are ${formatAmount(first)}, expected a whole number of tokens`,
    );
  return {
    ...fixed(
      "sink+recent",
      named("sink+recent", [sinks, window], [4, 0.3]),
      "StreamingLLM, arXiv 2309.17453, section 3.2",
      union(sink(first.value), recent(window)),
    ),
    withBudget: (x) => sinkRecent(sinks, x),
  };
}

/** H2O (arXiv 2306.14048): heavy hitters and a window, half of a budget each. */
export function heavyHitter(hitters: AmountLike = 0.25, window: AmountLike = 0.25): Preset {
  return {
    ...fixed(
      "heavy-hitter",
      named("heavy-hitter", [hitters, window], [0.25, 0.25]),
      "H2O, arXiv 2306.14048, section 4",
      union(frequent(hitters), recent(window)),
    ),
    withBudget: (x) => {
      const half = halved(amountOf(x));
      return heavyHitter(half, half);
    },
  };
}

/** A policy as a preset of one candidate. */
export function fixed(name: string, text: string, source: string, policy: Policy): Preset {
  return {
    name,
    text,
    source,
    threshold: null,
    rows: "prompt",
    reading: "row",
    generated: policy.node.kind === "full" ? "keep" : "sweep",
    candidates: [policy],
    greatest: null,
    withBudget: null,
  };
}

/** The presets that every program knows, by name: each takes as many amounts as it has parameters. */
export const PRESETS: Readonly<
  Record<string, { readonly parameters: number; build(amounts: readonly Amount[]): Preset }>
> = {
  adaptive: { parameters: 0, build: () => adaptive() },
  fastgen: { parameters: 2, build: ([hitters, window]) => fastgen(hitters, window) },
  full: { parameters: 0, build: () => fullPreset() },
  "heavy-hitter": { parameters: 2, build: ([hitters, window]) => heavyHitter(hitters, window) },
  "sink+recent": { parameters: 2, build: ([sinks, window]) => sinkRecent(sinks, window) },
};

function halved({ kind, value }: Amount): AmountLike {
  return kind === "ratio" ? ratio(value / 2) : count(Math.ceil(value / 2));
}

function named(name: string, given: readonly AmountLike[], defaults: readonly AmountLike[]): string {
  const texts = given.map((x) => formatAmount(amountOf(x)));
  const usual = defaults.map((x) => formatAmount(amountOf(x)));
  return texts.join() === usual.join() ? name : `${name}(${texts.join(", ")})`;
}
