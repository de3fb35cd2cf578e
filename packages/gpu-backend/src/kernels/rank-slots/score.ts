import {
  STORED_COLUMNS,
  WAITING,
  columnsOf,
  type BinaryOperator,
  type Expr,
  type UnaryOperator,
} from "@winnow/core-tensor";

import { NAN } from "../../wgsl/nan";

export interface ScoreShape {
  readonly scores: readonly Expr[];
  /** Columns of a table, bound one by one; or behind one another in one buffer, where they are too many; or in pages. */
  readonly columns: "table" | "packed" | "pages";
}

/**
 * Scores as a function of a slot.
 *
 * Goes with `slotWgsl`. The kernel binds what {@link scoreColumns} names, as `column_0`, `column_1`, … or as
 * `packed_columns`, if they are not in pages, and has a `RankPlan`'s words as its data; params have `now`, `seed_row`,
 * `packed_stride`, `constants_at` and `zero`.
 */
export function scoreWgsl({ scores, columns }: ScoreShape): string {
  const names = scoreColumns(scores);
  let constants = 0;
  const print = (expr: Expr): string => {
    switch (expr.op) {
      case "constant":
        return `bitcast<f32>(data[params.constants_at + ${constants++}u])`;
      case "random":
        return `random(data[params.constants_at + ${constants++}u], params.seed_row + slot.row, slot.position)`;
      case "column": {
        if (expr.name === "position") return "f32(slot.position)";
        if (expr.name === "age") return "f32(bitcast<i32>(params.now - slot.position))";
        const number = names.indexOf(expr.name);
        if (columns === "pages") return storedColumn(expr.name);
        return columns === "table"
          ? `bitcast<f32>(column_${number}[slot_place(slot.row, slot.number)])`
          : `bitcast<f32>(packed_columns[${number}u * params.packed_stride + slot.row * params.capacity + slot.number])`;
      }
      case "neg":
      case "abs":
      case "sqrt":
      case "exp":
      case "log":
        return `${UNARY[expr.op]}(${print(expr.of)})`;
      default:
        return `${BINARY[expr.op]}(${print(expr.left)}, ${print(expr.right)})`;
    }
  };
  return `
${NAN}
${ARITHMETIC}
fn score_of(number: u32, slot: Slot) -> f32 {
  switch number {
${scores.map((score, number) => `    case ${number}u: { return ${print(score)}; }`).join("\n")}
    default: { return not_a_number(); }
  }
}
`;
}

/** What is stored under a name, with what waits to be added to it. */
function storedColumn(name: string): string {
  const column = STORED_COLUMNS.find((stored) => stored === name);
  if (column === undefined) return "not_a_number()";
  const number = `${STORED_COLUMNS.indexOf(column)}u`;
  const waiting = WAITING[column];
  if (waiting === undefined) return `stored(slot, ${number})`;
  const more = `waiting(slot, ${STORED_COLUMNS.indexOf(waiting.column)}u, ${number})`;
  return waiting.reduce === "sum" ? `total(stored(slot, ${number}), ${more})` : `max(stored(slot, ${number}), ${more})`;
}

/** The stored columns that scores read, in the order in which they are bound. */
export function scoreColumns(scores: readonly Expr[]): string[] {
  return [...new Set(scores.flatMap((score) => columnsOf(score)))].sort();
}

/**
 * The numbers in scores as words, in the order in which {@link scoreWgsl} counts them. They are data: a shader serves
 * all seeds and weights, and its compiler does not refuse a constant that is infinite.
 */
export function scoreConstants(scores: readonly Expr[]): number[] {
  const words: number[] = [];
  const visit = (expr: Expr): void => {
    if (expr.op === "constant") words.push(new Uint32Array(Float32Array.of(expr.value).buffer)[0] ?? 0);
    else if (expr.op === "random") words.push(expr.seed >>> 0);
    else if ("of" in expr) visit(expr.of);
    else if ("left" in expr) {
      visit(expr.left);
      visit(expr.right);
    }
  };
  scores.forEach(visit);
  return words;
}

const UNARY: Readonly<Record<UnaryOperator, string>> = {
  neg: "negated",
  abs: "abs",
  sqrt: "root",
  exp: "exp",
  log: "logarithm",
};

const BINARY: Readonly<Record<BinaryOperator, string>> = {
  add: "total",
  sub: "difference",
  mul: "product",
  div: "quotient",
  min: "least",
  max: "greatest",
};

/** Zero is not known before the shader runs, so that no compiler sees through what is combined with it. */
const ARITHMETIC = `
/// Keeps a compiler from fusing an operation with the next one or reordering them: on the host each rounds by itself.
fn rounded(value: f32) -> f32 { return bitcast<f32>(bitcast<u32>(value) ^ params.zero); }

fn not_a_number() -> f32 { return bitcast<f32>(0x7fc00000u ^ params.zero); }

fn negated(a: f32) -> f32 { return bitcast<f32>(bitcast<u32>(a) ^ 0x80000000u); }
fn total(a: f32, b: f32) -> f32 { return rounded(a + b); }
fn difference(a: f32, b: f32) -> f32 { return rounded(a - b); }
fn product(a: f32, b: f32) -> f32 { return rounded(a * b); }

fn quotient(a: f32, b: f32) -> f32 {
  if ((bitcast<u32>(b) & 0x7fffffffu) == 0u) {
    // A device need not have infinities of its own.
    if (is_nan(a) || (bitcast<u32>(a) & 0x7fffffffu) == 0u) { return not_a_number(); }
    return bitcast<f32>(((bitcast<u32>(a) ^ bitcast<u32>(b)) & 0x80000000u) | (0x7f800000u ^ params.zero));
  }
  return rounded(a / b);
}

fn root(a: f32) -> f32 {
  if (is_nan(a) || a < 0.0) { return not_a_number(); }
  return rounded(sqrt(a));
}

fn logarithm(a: f32) -> f32 {
  if (is_nan(a) || a < 0.0) { return not_a_number(); }
  if (a == 0.0) { return bitcast<f32>(0xff800000u ^ params.zero); }
  return rounded(log(a));
}

fn scrambled(word: u32) -> u32 {
  var h = word + 0x9e3779b9u;
  h = (h ^ (h >> 16u)) * 0x85ebca6bu;
  h = (h ^ (h >> 13u)) * 0xc2b2ae35u;
  return h ^ (h >> 16u);
}

/// The random number of core-tensor's randomUnit, rounded to the nearest f32: a device may convert integers otherwise.
fn random(seed: u32, row: u32, position: u32) -> f32 {
  let word = scrambled(scrambled(scrambled(seed) ^ row) ^ position);
  let dropped = 8u - min(8u, countLeadingZeros(word));
  let rest = word & ((1u << dropped) - 1u);
  var digits = word >> dropped;
  let half = (1u << dropped) >> 1u;
  if (dropped > 0u && (rest > half || (rest == half && (digits & 1u) == 1u))) { digits++; }
  return f32(digits) * f32(1u << dropped) * 0x1p-32;
}
`;
