import {
  BoolOp,
  WinnowError,
  runBoolProgram,
  type BoolProgram,
  type Expr,
  type RankScale,
  type RankTest,
  type SelectProgram,
  type SlotView,
} from "@winnow/core-tensor";

/** Whether `recent(w)` is a window of every profiled row, or what is recent where the cache is cut. */
export type Reading = "row" | "cut";

/**
 * What a backend is asked so that candidates can be priced: how to cut distances into bands, columns into classes, and
 * ranks into buckets. Within one cell of (class, bucket, band) every candidate keeps all or nothing.
 */
export interface Question {
  readonly programs: readonly SelectProgram[];
  readonly reading: Reading;
  /** Ascending windows; band b of the mass table holds distances bands[b-1] <= i - j < bands[b]. */
  readonly bands: readonly number[];
  /** Class of each column: [heads, capacity], or [1, capacity] where all heads have the same columns. */
  readonly classes: Uint32Array;
  readonly classRows: number;
  readonly classCount: number;
  /** One column of each class, which answers for the others. */
  readonly representatives: readonly Representative[];
  readonly scales: readonly RankScale[];
  /** For each program and rank test, its scale and how many of its buckets pass; null for a test that has no scale. */
  readonly tests: readonly (readonly (TestPlace | null)[])[];
  /** Buckets over all scales, the first scale slowest. */
  readonly buckets: number;
}

export interface Representative {
  readonly flags: number;
  readonly position: number;
  /** Distance to the newest row. */
  readonly distance: number;
}

export interface TestPlace {
  readonly scale: number;
  readonly passing: number;
}

/** The windows that cut distances into bands: none where recency is read at the cut. */
export function bandsOf(programs: readonly SelectProgram[], reading: Reading): number[] {
  if (reading === "cut") return [];
  const windows = new Set(programs.flatMap(({ keep }) => predicatesOf(keep, BoolOp.near).map((word) => word >>> 8)));
  return [...windows].filter((window) => window > 0).sort((a, b) => a - b);
}

/**
 * Find the cells in which every candidate's answer is constant.
 *
 * @param programs the candidates.
 * @param scores what the programs' score numbers mean.
 * @param heads a layer's KV heads; the arrays of `position` and `flags` may be the same objects for all of them.
 * @param capacity columns a row of the slot table can hold.
 */
export function askQuestion(
  programs: readonly SelectProgram[],
  scores: readonly Expr[],
  heads: readonly SlotView[],
  capacity: number,
  reading: Reading,
): Question {
  const scales: { score: Expr; edges: Set<number>; within: BoolProgram | undefined; scope: RankTest["scope"] }[] = [];
  const numberOf = new Map<string, number>();
  const scaleOf = (test: RankTest): number | null => {
    if (test.within !== undefined && predicatesOf(test.within, BoolOp.rank).length > 0) return null;
    const key = `${test.score} ${test.scope} ${test.within?.join() ?? ""}`;
    let number = numberOf.get(key);
    if (number === undefined) {
      const score = scores[test.score];
      if (score === undefined)
        throw new WinnowError("range", `a rank test names the score ${test.score} of ${scores.length}`);
      number = scales.push({ score, edges: new Set(), within: test.within, scope: test.scope }) - 1;
      numberOf.set(key, number);
    }
    scales[number]?.edges.add(test.k);
    return number;
  };
  const places = programs.map(({ ranks }) => ranks.map((test) => ({ scale: scaleOf(test), k: test.k })));
  const sorted: RankScale[] = scales.map(({ score, edges, within, scope }) => ({
    score,
    edges: [...edges].sort((a, b) => a - b),
    scope,
    ...(within === undefined ? {} : { within }),
  }));
  const tests = places.map((ranks) =>
    ranks.map(({ scale, k }) =>
      scale === null ? null : { scale, passing: (sorted[scale]?.edges.indexOf(k) ?? -1) + 1 },
    ),
  );
  return {
    programs,
    reading,
    bands: bandsOf(programs, reading),
    ...classify(programs, heads, capacity),
    scales: sorted,
    tests,
    buckets: sorted.reduce((product, { edges }) => product * (edges.length + 1), 1),
  };
}

type Classes = Pick<Question, "classes" | "classRows" | "classCount" | "representatives">;

/** Columns with the same answers to every predicate of any program are one class. */
function classify(programs: readonly SelectProgram[], heads: readonly SlotView[], capacity: number): Classes {
  const predicates = distinctPredicates(programs);
  const [first] = heads;
  const shared = heads.every(
    ({ position, flags, count }) => position === first?.position && flags === first.flags && count === first.count,
  );
  const distinct = shared ? heads.slice(0, 1) : heads;
  const classes = new Uint32Array(Math.max(1, distinct.length) * capacity);
  const numberOf = new Map<string, number>();
  const representatives: Representative[] = [];
  distinct.forEach((head, row) => {
    for (let column = 0; column < head.count; column++) {
      const position = head.position[column] ?? 0;
      const facts = { flags: head.flags[column] ?? 0, position, distance: head.now - position };
      const signature = predicates
        .map((words) => (runBoolProgram(words, { ...facts, rank: () => false }) ? "1" : "0"))
        .join("");
      let number = numberOf.get(signature);
      if (number === undefined) {
        number = representatives.push(facts) - 1;
        numberOf.set(signature, number);
      }
      classes[row * capacity + column] = number;
    }
  });
  return {
    classes,
    classRows: Math.max(1, distinct.length),
    classCount: Math.max(1, representatives.length),
    representatives,
  };
}

/** Every test of a column alone, as a program of its own, without doubles. */
function distinctPredicates(programs: readonly SelectProgram[]): BoolProgram[] {
  const found = new Map<string, BoolProgram>();
  for (const { keep, ranks } of programs) {
    for (const program of [keep, ...ranks.flatMap(({ within }) => (within === undefined ? [] : [within]))]) {
      for (let i = 0; i < program.length; i++) {
        const word = program[i] ?? 0;
        const op = word & 0xff;
        if (op === BoolOp.every) {
          const words = [word, program[++i] ?? 0];
          found.set(words.join(), words);
        } else if (op === BoolOp.hasClass || op === BoolOp.before || op === BoolOp.near) {
          found.set(String(word), [word]);
        }
      }
    }
  }
  return [...found.values()];
}

/** The words of one operation in a program. */
function predicatesOf(program: BoolProgram, op: number): number[] {
  const words: number[] = [];
  for (let i = 0; i < program.length; i++) {
    const word = program[i] ?? 0;
    if ((word & 0xff) === op) words.push(word);
    if ((word & 0xff) === BoolOp.every) i++;
  }
  return words;
}
