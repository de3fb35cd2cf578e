import { runBoolProgram, type BoolProgram } from "./bool-program";
import { evaluate, type Expr } from "./expr";
import type { SlotView } from "./slot-view";

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

class Selection {
  readonly #scores = new Map<string, Float32Array>();
  readonly #passing = new Map<string, Uint8Array>();

  constructor(
    private readonly views: readonly SlotView[],
    private readonly programs: readonly SelectProgram[],
    private readonly expressions: readonly Expr[],
    private readonly headsPerLayer: number,
  ) {}

  kept(head: number): Uint8Array {
    return this.#run(head, this.programs[head]?.keep ?? []);
  }

  #run(head: number, program: BoolProgram): Uint8Array {
    const view = this.views[head];
    const result = new Uint8Array(view?.count ?? 0);
    if (view === undefined || program.length === 0) return result;
    let slot = 0;
    const facts = {
      flags: 0,
      position: 0,
      distance: 0,
      rank: (test: number): boolean => this.#passes(head, test)[slot] === 1,
    };
    for (; slot < view.count; slot++) {
      facts.flags = view.flags[slot] ?? 0;
      facts.position = view.position[slot] ?? 0;
      facts.distance = view.now - facts.position;
      result[slot] = runBoolProgram(program, facts) ? 1 : 0;
    }
    return result;
  }

  /** For each slot of a head, whether it passes the head's rank test of that number. */
  #passes(head: number, number: number): Uint8Array {
    const key = `${head} ${number}`;
    const known = this.#passing.get(key);
    if (known !== undefined) return known;
    const passing = new Uint8Array(this.views[head]?.count ?? 0);
    const test = this.programs[head]?.ranks[number];
    if (test !== undefined) {
      const first = Math.floor(head / this.headsPerLayer) * this.headsPerLayer;
      const heads = test.scope === "head" ? [head] : Array.from({ length: this.headsPerLayer }, (_, i) => first + i);
      const rivals = heads.flatMap((rival) => this.#rivals(rival, test));
      rivals.sort(byRank);
      for (const rival of rivals.slice(0, test.k)) if (rival.head === head) passing[rival.slot] = 1;
    }
    this.#passing.set(key, passing);
    return passing;
  }

  #rivals(head: number, test: RankTest): Rival[] {
    const view = this.views[head];
    if (view === undefined) return [];
    const values = this.#values(head, test.score);
    const competes = test.within === undefined ? undefined : this.#run(head, test.within);
    const rivals: Rival[] = [];
    for (let slot = 0; slot < view.count; slot++) {
      if (competes !== undefined && competes[slot] !== 1) continue;
      const score = values[slot] ?? NaN;
      rivals.push({ score: Number.isNaN(score) ? -Infinity : score, position: view.position[slot] ?? 0, head, slot });
    }
    return rivals;
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

interface Rival {
  readonly score: number;
  readonly position: number;
  readonly head: number;
  readonly slot: number;
}

/** The order of ranks: greater scores first, then earlier positions, then lower heads. */
function byRank(a: Rival, b: Rival): number {
  if (a.score !== b.score) return b.score > a.score ? 1 : -1;
  return a.position - b.position || a.head - b.head;
}
