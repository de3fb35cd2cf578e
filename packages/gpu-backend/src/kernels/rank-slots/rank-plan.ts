import {
  BoolOp,
  WinnowError,
  STORED_COLUMNS,
  columnsOf,
  runBoolProgram,
  type BoolProgram,
  type Expr,
  type RankTest,
  type SelectProgram,
  type SelectSlots,
} from "@winnow/core-tensor";

import { scoreColumns, scoreConstants } from "./score";

/** "No program", "no threshold": what a shader knows as NONE. */
const NONE = 0xffffffff;
const RANKING_WORDS = 9;
const ROW_WORDS = 4;
const REFERENCE_WORDS = 2;

export interface RankRequest {
  readonly slots: SelectSlots;
  readonly headsPerLayer: number;
  /** The rows planned for: whole layers. */
  readonly firstRow: number;
  readonly rowCount: number;
  /** One a row. */
  readonly programs: readonly SelectProgram[];
  readonly scores: readonly Expr[];
  /** Numbers of the rank tests that are asked for, by row; those that they depend on come with them. */
  readonly wanted: (row: number) => readonly number[];
}

/** What programs and rank tests come to on the device. */
export interface RankPlan {
  /** Tasks, rankings, ks, programs and constants, as the shaders read them. */
  readonly words: Uint32Array;
  /** Where the rows begin among them: for each its tests' first word, their number, and the words of its `keep`. */
  readonly rowsAt: number;
  readonly constantsAt: number;
  /** Where the rows' slots are counted, if they are in pages. */
  readonly countsAt: number;
  readonly firstRow: number;
  readonly rowCount: number;
  readonly tasks: number;
  /** Slots to which rankings give keys. */
  readonly keys: number;
  readonly thresholds: number;
  /** The most slots that compete in one ranking. */
  readonly rivals: number;
  /** The scores that are ranked by; rankings number them anew. */
  readonly scores: readonly Expr[];
  readonly columns: readonly string[];
}

/** Slots that compete by one score; any number of tests asks who is among the first. */
interface Ranking {
  readonly score: number;
  readonly firstRow: number;
  readonly rows: number;
  readonly within: BoolProgram | undefined;
  readonly keys: number;
  readonly ks: number[];
  /** Rankings of one task are done in order, by one workgroup. */
  task: string;
}

/** Where a row's test finds its answer. */
interface Reference {
  readonly ranking: Ranking;
  /** Place of its k among the ranking's. */
  readonly k: number;
}

/**
 * Collect the rankings that rank tests need, each once.
 *
 * @throws WinnowError `range` when a program is malformed, a test depends on a later one, or a score reads a column that
 * the table lacks.
 */
export function planRanks(request: RankRequest): RankPlan {
  return new Planner(request).plan();
}

/** @throws WinnowError `range` when a rank test's competitors depend on itself or a later test. */
export function expectRanksBelow(within: BoolProgram, number: number): void {
  const late = ranksIn(within).find((test) => test >= number);
  if (late !== undefined) {
    throw new WinnowError(
      "range",
      `rank test ${number} competes within rank test ${late}; only lower numbers are possible`,
    );
  }
}

/** Numbers of the rank tests that a program uses. */
export function ranksIn(program: BoolProgram): number[] {
  const tests: number[] = [];
  for (let i = 0; i < program.length; i++) {
    const word = program[i] ?? 0;
    if ((word & 0xff) === BoolOp.every) i++;
    else if ((word & 0xff) === BoolOp.rank) tests.push(word >>> 8);
  }
  return tests;
}

class Planner {
  readonly #rankings = new Map<string, Ranking>();
  /** By row, then test. */
  readonly #wanted = new Map<number, Set<number>>();
  readonly #references = new Map<number, Map<number, Reference>>();
  /** By their numbers in the request. */
  readonly #scores = new Map<number, Expr>();
  #keys = 0;

  constructor(private readonly request: RankRequest) {}

  plan(): RankPlan {
    const { firstRow, rowCount, wanted } = this.request;
    const rows = Array.from({ length: rowCount }, (_, i) => firstRow + i);
    for (const row of rows) {
      expectProgram(this.request.programs[row]?.keep);
      for (const test of wanted(row)) this.#want(row, test);
    }
    // Ascending numbers: what a test depends on has a lower one.
    const last = Math.max(-1, ...rows.flatMap((row) => [...(this.#wanted.get(row) ?? [])]));
    for (let test = 0; test <= last; test++) {
      for (const row of rows) if (this.#wanted.get(row)?.has(test) === true) this.#place(row, test);
    }
    this.#joinTasks();
    return this.#encode();
  }

  #test(row: number, test: number): RankTest | undefined {
    return this.request.programs[row]?.ranks[test];
  }

  /** The rows that compete with a row in a test: first, and how many. */
  #rivals(row: number, { scope }: RankTest): { readonly first: number; readonly rows: number } {
    if (scope === "head") return { first: row, rows: 1 };
    const { headsPerLayer, firstRow, rowCount } = this.request;
    const first = Math.floor(row / headsPerLayer) * headsPerLayer;
    return { first, rows: Math.min(headsPerLayer, firstRow + rowCount - first) };
  }

  #want(row: number, number: number): void {
    const test = this.#test(row, number);
    const mine = this.#wanted.get(row) ?? new Set();
    if (test === undefined || mine.has(number)) return;
    this.#wanted.set(row, mine.add(number));
    if (test.within === undefined) return;
    expectProgram(test.within);
    expectRanksBelow(test.within, number);
    const { first, rows } = this.#rivals(row, test);
    for (const lower of ranksIn(test.within)) for (let i = 0; i < rows; i++) this.#want(first + i, lower);
  }

  /** Find the ranking that answers a test, or add one. */
  #place(row: number, number: number): void {
    const test = this.#test(row, number);
    if (test === undefined) return;
    const { first, rows } = this.#rivals(row, test);
    // Programs that say the same of each rival are one, whichever head's they are: a rival answers with its own tests.
    const key = `${first} ${rows} ${test.score} ${test.within?.join(",") ?? "all"}`;
    let ranking = this.#rankings.get(key);
    if (ranking === undefined) {
      const { capacity } = this.request.slots;
      this.#useScore(test.score);
      ranking = { score: test.score, firstRow: first, rows, within: test.within, keys: this.#keys, ks: [], task: key };
      this.#keys += rows * capacity;
      this.#rankings.set(key, ranking);
    }
    const k = wordOfK(test.k);
    if (!ranking.ks.includes(k)) ranking.ks.push(k);
    const references = this.#references.get(row) ?? new Map<number, Reference>();
    this.#references.set(row, references.set(number, { ranking, k: ranking.ks.indexOf(k) }));
  }

  /** @throws WinnowError `range` when the table lacks a column that the score reads. */
  #useScore(score: number): void {
    const expression = this.request.scores[score];
    if (expression === undefined || this.#scores.has(score)) return;
    const { slots } = this.request;
    const columns: readonly string[] = slots.kind === "table" ? Object.keys(slots.columns) : STORED_COLUMNS;
    for (const name of columnsOf(expression)) {
      if (!columns.includes(name)) {
        const there = [...columns].sort().join(", ") || "none";
        throw new WinnowError("range", `a score reads the column "${name}", which is not there; stored here: ${there}`);
      }
    }
    this.#scores.set(score, expression);
  }

  /** Where some program asks for another's rank test, rankings that may depend on each other share a task. */
  #joinTasks(): void {
    const layerOf = (ranking: Ranking): number => Math.floor(ranking.firstRow / this.request.headsPerLayer);
    const layers = new Map<number, Ranking[]>();
    for (const ranking of this.#rankings.values()) {
      const layer = layerOf(ranking);
      layers.set(layer, [...(layers.get(layer) ?? []), ranking]);
    }
    for (const [layer, rankings] of layers) {
      if (rankings.every(({ within }) => within === undefined || ranksIn(within).length === 0)) continue;
      const apart = rankings.every(({ rows }) => rows === 1);
      for (const ranking of rankings) ranking.task = apart ? `row ${ranking.firstRow}` : `layer ${layer}`;
    }
  }

  #encode(): RankPlan {
    const { firstRow, rowCount, programs, slots } = this.request;
    const tasks = new Map<string, Ranking[]>();
    for (const ranking of this.#rankings.values()) {
      const task = tasks.get(ranking.task);
      if (task === undefined) tasks.set(ranking.task, [ranking]);
      else task.push(ranking);
    }
    const rankings = [...tasks.values()].flat();
    const rankingsAt = 2 * tasks.size;
    const rowsAt = rankingsAt + RANKING_WORDS * rankings.length;
    const testCounts = Array.from({ length: rowCount }, (_, i) => programs[firstRow + i]?.ranks.length ?? 0);
    const tests = testCounts.reduce((sum, count) => sum + count, 0);
    const referencesAt = rowsAt + ROW_WORDS * rowCount;
    const heapAt = referencesAt + REFERENCE_WORDS * tests;

    // Lists that other words point to: programs, ks and constants. Heads of one policy have their programs in common.
    const heap: number[] = [];
    const known = new Map<string, number>();
    const listAt = (list: readonly number[]): number => {
      const key = list.join(",");
      let at = known.get(key);
      if (at === undefined) {
        at = heapAt + heap.length;
        heap.push(...list);
        known.set(key, at);
      }
      return at;
    };

    // In ascending order, so that programs which rank by the same scores share a shader.
    const scoreNumbers = [...this.#scores.keys()].sort((a, b) => a - b);
    const scores = scoreNumbers.flatMap((score) => this.#scores.get(score) ?? []);

    const words: number[] = [];
    let next = rankingsAt;
    for (const task of tasks.values()) words.push(next, (next += RANKING_WORDS * task.length));
    const thresholdsAt = new Map<Ranking, number>();
    let thresholds = 0;
    for (const ranking of rankings) {
      const { rows, within, keys, ks } = ranking;
      // A score that is not there is no number for any slot.
      const score = this.#scores.has(ranking.score) ? scoreNumbers.indexOf(ranking.score) : NONE;
      const withinAt = within === undefined ? NONE : listAt(within);
      const ksAt = listAt(ks);
      words.push(score, ranking.firstRow - firstRow, rows, keys);
      words.push(withinAt, withinAt + (within?.length ?? 0), ksAt, ksAt + ks.length, thresholds);
      thresholdsAt.set(ranking, thresholds);
      thresholds += ks.length;
    }
    let reference = referencesAt;
    testCounts.forEach((count, i) => {
      const keep = programs[firstRow + i]?.keep ?? [];
      const keepAt = listAt(keep);
      words.push(reference, count, keepAt, keepAt + keep.length);
      reference += REFERENCE_WORDS * count;
    });
    testCounts.forEach((count, i) => {
      for (let test = 0; test < count; test++) {
        const found = this.#references.get(firstRow + i)?.get(test);
        const first = found === undefined ? undefined : thresholdsAt.get(found.ranking);
        if (found === undefined || first === undefined) words.push(0, NONE);
        else {
          const { ranking, k } = found;
          words.push(ranking.keys + (firstRow + i - ranking.firstRow) * slots.capacity, first + k);
        }
      }
    });
    const constantsAt = listAt(scoreConstants(scores));
    const countsAt = slots.kind === "pages" ? listAt(slots.counts.slice(firstRow, firstRow + rowCount)) : 0;
    return {
      words: Uint32Array.from([...words, ...heap]),
      rowsAt,
      constantsAt,
      countsAt,
      firstRow,
      rowCount,
      tasks: tasks.size,
      keys: this.#keys,
      thresholds,
      rivals: Math.max(0, ...rankings.map(({ rows }) => rows)) * slots.capacity,
      scores,
      columns: scoreColumns(scores),
    };
  }
}

/** @throws WinnowError `range` when a program is malformed; whether it is does not depend on the slot. */
function expectProgram(program: BoolProgram | undefined): void {
  if (program === undefined || program.length === 0) return;
  runBoolProgram(program, { flags: 0, position: 0, distance: 0, rank: () => false });
}

/** Ranks are whole and below 2^32: the least word that as many of them are below. */
function wordOfK(k: number): number {
  return k > 0 ? Math.min(NONE, Math.ceil(k)) : 0;
}
