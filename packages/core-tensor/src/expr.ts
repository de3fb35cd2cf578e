import { WinnowError } from "./errors";
import type { SlotView } from "./slot-view";

export type UnaryOperator = "neg" | "abs" | "sqrt" | "exp" | "log";
export type BinaryOperator = "add" | "sub" | "mul" | "div" | "min" | "max";

/**
 * A score: arithmetic over the columns of a slot table. It is data, so that the CPU can evaluate it and a
 * GPU backend can print it as shader source. Besides the stored columns every table has `position`, and
 * `age`, the distance to the newest row.
 */
export type Expr =
  | { readonly op: "column"; readonly name: string }
  | { readonly op: "constant"; readonly value: number }
  /** Uniform in [0, 1), fixed by the seed, the row of the table and the slot's position. */
  | { readonly op: "random"; readonly seed: number }
  | { readonly op: UnaryOperator; readonly of: Expr }
  | { readonly op: BinaryOperator; readonly left: Expr; readonly right: Expr };

export const column = (name: string): Expr => ({ op: "column", name });
export const constant = (value: number): Expr => ({ op: "constant", value });
export const randomScore = (seed: number): Expr => ({ op: "random", seed });
export const add = (left: Expr, right: Expr): Expr => ({ op: "add", left, right });
export const sub = (left: Expr, right: Expr): Expr => ({ op: "sub", left, right });
export const mul = (left: Expr, right: Expr): Expr => ({ op: "mul", left, right });
export const div = (left: Expr, right: Expr): Expr => ({ op: "div", left, right });
export const minOf = (left: Expr, right: Expr): Expr => ({ op: "min", left, right });
export const maxOf = (left: Expr, right: Expr): Expr => ({ op: "max", left, right });
export const neg = (of: Expr): Expr => ({ op: "neg", of });
export const abs = (of: Expr): Expr => ({ op: "abs", of });
export const sqrt = (of: Expr): Expr => ({ op: "sqrt", of });
export const exp = (of: Expr): Expr => ({ op: "exp", of });
export const log = (of: Expr): Expr => ({ op: "log", of });

/** Columns derived from the others, which no table stores. */
const DERIVED = new Set(["position", "age"]);

/** The stored columns an expression reads, sorted and without doubles. */
export function columnsOf(expr: Expr): string[] {
  const names = new Set<string>();
  const visit = (e: Expr): void => {
    if (e.op === "column") names.add(e.name);
    else if ("of" in e) visit(e.of);
    else if ("left" in e) {
      visit(e.left);
      visit(e.right);
    }
  };
  visit(expr);
  return [...names].filter((name) => !DERIVED.has(name)).sort();
}

const BINARY: Readonly<Record<BinaryOperator, (a: number, b: number) => number>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  min: Math.min,
  max: Math.max,
};

const UNARY: Readonly<Record<UnaryOperator, (a: number) => number>> = {
  neg: (a) => -a,
  abs: Math.abs,
  sqrt: Math.sqrt,
  exp: Math.exp,
  log: Math.log,
};

/**
 * The score of every slot of a view, rounded to f32 after each operation, as a GPU rounds.
 *
 * @returns one value a slot.
 * @throws WinnowError `range` when the view lacks a column that the expression reads.
 */
export function evaluate(expr: Expr, view: SlotView): Float32Array {
  const out = new Float32Array(view.count);
  switch (expr.op) {
    case "constant":
      return out.fill(expr.value);
    case "random":
      for (let i = 0; i < view.count; i++) out[i] = randomUnit(expr.seed, view.row, view.position[i] ?? 0);
      return out;
    case "column": {
      if (expr.name === "position") return Float32Array.from(view.position.subarray(0, view.count));
      if (expr.name === "age") {
        for (let i = 0; i < view.count; i++) out[i] = view.now - (view.position[i] ?? 0);
        return out;
      }
      const values = view.columns[expr.name];
      if (values === undefined) {
        const known = Object.keys(view.columns).sort().join(", ") || "none";
        throw new WinnowError(
          "range",
          `a score reads the column "${expr.name}", which is not there; stored here: ${known}`,
        );
      }
      return values.subarray(0, view.count);
    }
    case "neg":
    case "abs":
    case "sqrt":
    case "exp":
    case "log": {
      const apply = UNARY[expr.op];
      const of = evaluate(expr.of, view);
      for (let i = 0; i < out.length; i++) out[i] = apply(of[i] ?? 0);
      return out;
    }
    default: {
      const apply = BINARY[expr.op];
      const left = evaluate(expr.left, view);
      const right = evaluate(expr.right, view);
      for (let i = 0; i < out.length; i++) out[i] = apply(left[i] ?? 0, right[i] ?? 0);
      return out;
    }
  }
}

/**
 * A counter-based generator: the same three numbers give the same value on every backend (three rounds of
 * the finaliser of MurmurHash3 over the words).
 */
export function randomUnit(seed: number, row: number, position: number): number {
  return randomWord(seed, row, position) / 2 ** 32;
}

/** The 32 random bits behind {@link randomUnit}. */
export function randomWord(seed: number, row: number, position: number): number {
  let h = mix(seed >>> 0);
  h = mix((h ^ row) >>> 0);
  return mix((h ^ position) >>> 0);
}

function mix(word: number): number {
  let h = (word + 0x9e3779b9) >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
