import { BoolOp, runBoolProgram, type BoolProgram } from "./bool-program";
import { WinnowError } from "./errors";
import { evaluate, type Expr } from "./expr";
import type { SlotView } from "./slot-view";
import { fallingKeys, stableOrder } from "./stable-order";

/** Number of a score in the list of expressions that goes with the programs. */
export type ScoreId = number;

/** "Is this slot among the k of greatest score?" Ties go to the earlier position. */
export interface RankTest {
  readonly score: ScoreId;
  readonly k: number;
  /** Only slots that satisfy this compete, and only they can pass. It may use rank tests of lower numbers. */
  readonly within?: BoolProgram;
  /** Whether the slots of one head compete, or those of all heads of its layer. */
  readonly scope: "head" | "layer";
}

/**
 * What a policy compiles to for one head. It is data, a few words a head and not code, so that heads with
 * different policies, windows and budgets run in one dispatch.
 */
export interface SelectProgram {
  readonly ranks: readonly RankTest[];
  readonly keep: BoolProgram;
}

/**
 * Run each head's program on the host: the meaning that every backend's `select` must have.
 *
 * @param views one view a head; the heads of a layer are neighbours.
 * @param headsPerLayer how many neighbours share a `layer` scope.
 * @returns one mask a head: 1 for a slot that is kept.
 */
export function selectSlots(
  views: readonly SlotView[],
  programs: readonly SelectProgram[],
  scores: readonly Expr[],
  headsPerLayer: number,
): Uint8Array[] {
  const selection = new Selection(views, programs, scores, headsPerLayer);
  return views.map((_, head) => selection.kept(head));
}

/**
 * The rank of each slot of a head by a score, 0 for the first: greater scores first, then earlier positions, then lower
 * heads; a score that is not a number comes last. Slots that do not compete have the rank Infinity.
 *
 * @param views the heads of one layer, whose slots compete together where the scope is `layer`.
 * @param within only slots that satisfy this compete; it may not use rank tests.
 */
export function rankSlots(
  views: readonly SlotView[],
  head: number,
  score: Expr,
  within: BoolProgram | undefined,
  scope: "head" | "layer",
): Float64Array {
  const test: RankTest = { score: 0, k: 0, scope, ...(within === undefined ? {} : { within }) };
  const programs = views.map(() => ({ ranks: [test], keep: [] }));
  return new Selection(views, programs, [score], views.length).ranks(head, 0);
}

/** Slots in the order of their ranks: which head each belongs to, and which slot of it. */
interface Order {
  readonly heads: Uint32Array;
  readonly slots: Uint32Array;
}

class Selection {
  readonly #scores = new Map<string, Float32Array>();
  readonly #orders = new Map<string, Order>();
  readonly #ranks = new Map<string, Float64Array>();

  constructor(
    private readonly views: readonly SlotView[],
    private readonly programs: readonly SelectProgram[],
    private readonly expressions: readonly Expr[],
    private readonly headsPerLayer: number,
  ) {}

  kept(head: number): Uint8Array {
    return this.#run(head, this.programs[head]?.keep ?? []);
  }

  /** Each slot's rank in the head's rank test of that number. */
  ranks(head: number, number: number): Float64Array {
    const test = this.programs[head]?.ranks[number];
    if (test === undefined) return new Float64Array(this.views[head]?.count ?? 0).fill(Infinity);
    const { score, scope, within } = test;
    const key = `${head} ${score} ${scope} ${within?.join(",") ?? ""} ${within === undefined ? "" : number}`;
    let ranks = this.#ranks.get(key);
    if (ranks === undefined) {
      ranks = new Float64Array(this.views[head]?.count ?? 0).fill(Infinity);
      const { heads, slots } = this.#order(head, number, test);
      for (let rank = 0; rank < heads.length; rank++) if (heads[rank] === head) ranks[slots[rank] ?? 0] = rank;
      this.#ranks.set(key, ranks);
    }
    return ranks;
  }

  #run(head: number, program: BoolProgram): Uint8Array {
    const view = this.views[head];
    const result = new Uint8Array(view?.count ?? 0);
    if (view === undefined || program.length === 0) return result;
    const tests = this.programs[head]?.ranks ?? [];
    const ranks: (Float64Array | undefined)[] = [];
    let slot = 0;
    const facts = {
      flags: 0,
      position: 0,
      distance: 0,
      rank: (test: number): boolean => {
        const of = (ranks[test] ??= this.ranks(head, test));
        return (of[slot] ?? Infinity) < (tests[test]?.k ?? 0);
      },
    };
    for (; slot < view.count; slot++) {
      facts.flags = view.flags[slot] ?? 0;
      facts.position = view.position[slot] ?? 0;
      facts.distance = view.now - facts.position;
      result[slot] = runBoolProgram(program, facts) ? 1 : 0;
    }
    return result;
  }

  #order(head: number, number: number, test: RankTest): Order {
    const first = Math.floor(head / this.headsPerLayer) * this.headsPerLayer;
    const last = Math.min(first + this.headsPerLayer, this.views.length);
    const rivals = test.scope === "head" ? [head] : Array.from({ length: last - first }, (_, i) => first + i);
    const shared = test.scope === "layer" && test.within === undefined;
    const key = shared ? `${first} ${test.score}` : null;
    const known = key === null ? undefined : this.#orders.get(key);
    if (known !== undefined) return known;
    const order = this.#sort(rivals, number, test);
    if (key !== null) this.#orders.set(key, order);
    return order;
  }

  #sort(rivals: readonly number[], number: number, test: RankTest): Order {
    const room = rivals.reduce((sum, head) => sum + (this.views[head]?.count ?? 0), 0);
    const heads = new Uint32Array(room);
    const slots = new Uint32Array(room);
    const scores = new Float32Array(room);
    const positions = new Uint32Array(room);
    let entries = 0;
    for (const head of rivals) {
      const view = this.views[head];
      if (view === undefined) continue;
      const values = this.#values(head, test.score);
      const within = test.within === undefined ? null : this.#run(head, ranksBelow(test.within, number));
      for (let slot = 0; slot < view.count; slot++) {
        if (within !== null && within[slot] !== 1) continue;
        heads[entries] = head;
        slots[entries] = slot;
        scores[entries] = values[slot] ?? NaN;
        positions[entries] = view.position[slot] ?? 0;
        entries++;
      }
    }
    // Entries are in order of heads, and each step leaves equals as they were: so scores, then positions, then heads.
    const byHead = new Uint32Array(entries).map((_, entry) => entry);
    const order = stableOrder(stableOrder(byHead, positions), fallingKeys(scores));
    const sorted = { heads: new Uint32Array(entries), slots: new Uint32Array(entries) };
    order.forEach((entry, rank) => {
      sorted.heads[rank] = heads[entry] ?? 0;
      sorted.slots[rank] = slots[entry] ?? 0;
    });
    return sorted;
  }

  #values(head: number, score: ScoreId): Float32Array {
    const key = `${head} ${score}`;
    const known = this.#scores.get(key);
    if (known !== undefined) return known;
    const view = this.views[head];
    const expression = this.expressions[score];
    const values = view === undefined || expression === undefined ? new Float32Array(0) : evaluate(expression, view);
    this.#scores.set(key, values);
    return values;
  }
}

/** @throws WinnowError `range` when a rank test's competitors depend on itself or a later test. */
function ranksBelow(within: BoolProgram, number: number): BoolProgram {
  for (let i = 0; i < within.length; i++) {
    const word = within[i] ?? 0;
    if ((word & 0xff) === BoolOp.every) i++;
    else if ((word & 0xff) === BoolOp.rank && word >>> 8 >= number) {
      throw new WinnowError(
        "range",
        `rank test ${number} competes within rank test ${word >>> 8}; only lower numbers are possible`,
      );
    }
  }
  return within;
}
