import {
  COMPUTED_COLUMNS,
  STORED_COLUMNS,
  add,
  column,
  constant,
  div,
  type BinaryOperator,
  type Expr,
  type UnaryOperator,
} from "@winnow/core-tensor";

/**
 * The statistics that every cache can give about a slot, by name, with what they mean.
 */
export const STATISTICS: Readonly<Record<string, { readonly meaning: string; readonly expr: Expr }>> = {
  mass: { meaning: "attention weight received, over all profiled and generated rows (H2O, arXiv 2306.14048)", expr: column("mass") },
  meanMass: {
    meaning: "mass per row that could see the slot",
    expr: div(column("mass"), add(column("age"), constant(1))),
  },
  maxWeight: { meaning: "the greatest weight any row gave (KVzip, arXiv 2505.23416)", expr: column("maxWeight") },
  windowMass: { meaning: "weight from the prompt's last 32 rows (SnapKV, arXiv 2404.14469)", expr: column("windowMass") },
  lastMass: { meaning: "weight from the newest row (TOVA, arXiv 2401.06104)", expr: column("lastMass") },
  keyNorm: { meaning: "length of the key (arXiv 2406.11430 keeps the shortest)", expr: column("keyNorm") },
  valueNorm: { meaning: "length of the value", expr: column("valueNorm") },
  keyDiff: {
    meaning: "cosine between the key and the head's mean key (KeyDiff, arXiv 2504.15364, keeps the least)",
    expr: column("keyDiff"),
  },
  age: { meaning: "distance to the newest row", expr: column("age") },
  position: { meaning: "true position of the token", expr: column("position") },
};

const STANDARD = new Set<string>([...STORED_COLUMNS, ...COMPUTED_COLUMNS, "age"]);

/** Whether a backend knows the column, as against one that a plug-in computes. */
export function isStandardColumn(name: string): boolean {
  return STANDARD.has(name);
}

const BINARY: Partial<Record<BinaryOperator, { readonly sign: string; readonly level: number }>> = {
  add: { sign: "+", level: 1 },
  sub: { sign: "-", level: 1 },
  mul: { sign: "*", level: 2 },
  div: { sign: "/", level: 2 },
};

const FUNCTIONS: readonly UnaryOperator[] = ["abs", "sqrt", "exp", "log"];

/** Names that a score may call with arguments. */
export const SCORE_FUNCTIONS: readonly string[] = [...FUNCTIONS, "min", "max", "random"];

/** A score in canonical text; parsing it gives the same expression. */
export function formatScore(expr: Expr): string {
  const statistic = Object.entries(STATISTICS).find(([, { expr: known }]) => sameExpr(known, expr));
  if (statistic !== undefined) return statistic[0];
  switch (expr.op) {
    case "column":
      return expr.name;
    case "constant":
      return expr.value < 0 ? `-${-expr.value}` : String(expr.value);
    case "random":
      return `random(${expr.seed})`;
    case "neg":
      return `-${wrap(expr.of, 3)}`;
    case "abs":
    case "sqrt":
    case "exp":
    case "log":
      return `${expr.op}(${formatScore(expr.of)})`;
    case "min":
    case "max":
      return `${expr.op}(${formatScore(expr.left)}, ${formatScore(expr.right)})`;
    default: {
      const { sign, level } = BINARY[expr.op] ?? { sign: "?", level: 0 };
      return `${wrap(expr.left, level)} ${sign} ${wrap(expr.right, level + 1)}`;
    }
  }
}

function wrap(expr: Expr, level: number): string {
  const text = formatScore(expr);
  const simple = /^[\w.]+$/.test(text) || !("left" in expr) || expr.op === "min" || expr.op === "max";
  const own = "left" in expr && !simple ? (BINARY[expr.op]?.level ?? 0) : expr.op === "constant" && expr.value < 0 ? 0 : 4;
  return own < level ? `(${text})` : text;
}

export function sameExpr(a: Expr, b: Expr): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/**
 * The distinct scores of a set of programs: a program names a score by its number here, so that few scores, and few
 * pipelines, serve many heads.
 */
export class ScoreTable {
  readonly #numbers = new Map<string, number>();
  readonly #expressions: Expr[] = [];

  get expressions(): readonly Expr[] {
    return this.#expressions;
  }

  /** The number of a score, given when it is first asked for. */
  idOf(expr: Expr): number {
    const key = JSON.stringify(expr);
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.#expressions.push(expr) - 1;
      this.#numbers.set(key, number);
    }
    return number;
  }
}
