import { COMPUTED_COLUMNS, STORED_COLUMNS, add, column, constant, div, type Expr } from "@winnow/core-tensor";

/**
 * The statistics that every cache can give about a slot, by name, with what they mean. Rankings keep the greatest: a
 * method that keeps the least is written with a minus, as `top(-keyNorm, 30%)`.
 */
export const STATISTICS: Readonly<Record<string, { readonly meaning: string; readonly expr: Expr }>> = {
  mass: {
    meaning: "attention weight received, over all profiled and generated rows (H2O, arXiv 2306.14048)",
    expr: column("mass"),
  },
  meanMass: {
    meaning: "mass per row that could see the slot: mass / (age + 1)",
    expr: div(column("mass"), add(column("age"), constant(1))),
  },
  maxWeight: { meaning: "the greatest weight any row gave (KVzip, arXiv 2505.23416)", expr: column("maxWeight") },
  windowMass: {
    meaning: "weight from the prompt's last 32 rows (SnapKV, arXiv 2404.14469)",
    expr: column("windowMass"),
  },
  hits: {
    meaning: "how often a row of the prompt's last 400 gave more than its mean weight (Scissorhands, arXiv 2305.17118)",
    expr: column("hits"),
  },
  lastMass: { meaning: "weight from the newest row (TOVA, arXiv 2401.06104)", expr: column("lastMass") },
  keyNorm: { meaning: "length of the key (arXiv 2406.11430 keeps the shortest)", expr: column("keyNorm") },
  valueNorm: { meaning: "length of the value (VATP, arXiv 2406.12335)", expr: column("valueNorm") },
  outputNorm: {
    meaning:
      "length of what the value adds to the output: mean L1 norm over the group's query heads (CriticalKV, arXiv 2502.03805)",
    expr: column("outputNorm"),
  },
  keyDiff: {
    meaning: "cosine between the key and the head's mean key (KeyDiff, arXiv 2504.15364, keeps the least)",
    expr: column("keyDiff"),
  },
  age: { meaning: "distance to the newest row", expr: column("age") },
  position: { meaning: "true position of the token", expr: column("position") },
};

/** Known of a slot while the prompt that it came with is read, and not stored. */
export const READING_COLUMNS: readonly string[] = ["hits", "outputNorm"];

const STANDARD = new Set<string>([...STORED_COLUMNS, ...COMPUTED_COLUMNS, ...READING_COLUMNS, "age"]);

/** Whether a backend knows the column, as against one that a plug-in computes. */
export function isStandardColumn(name: string): boolean {
  return STANDARD.has(name);
}

/** The score of a standard statistic, or null where none has the name. */
export function statistic(name: string): Expr | null {
  return Object.hasOwn(STATISTICS, name) ? (STATISTICS[name]?.expr ?? null) : null;
}

const NAMES = new Map(Object.entries(STATISTICS).map(([name, { expr }]) => [JSON.stringify(expr), name]));

const SIGNS = { add: "+", sub: "-", mul: "*", div: "/" } as const;

/** How strongly a score's text binds: sums least, then products, then a minus in front, then what stands by itself. */
const SUM = 1;
const PRODUCT = 2;
const UNARY = 3;

/**
 * A score in canonical text; parsing it gives the same expression.
 *
 * @example formatScore(sub(column("mass"), constant(1))); // "mass - 1"
 */
export function formatScore(expr: Expr): string {
  return formatAt(expr, SUM);
}

function formatAt(expr: Expr, level: number): string {
  const name = NAMES.get(JSON.stringify(expr));
  if (name !== undefined) return name;
  switch (expr.op) {
    case "column":
      return expr.name;
    case "constant":
      return inParentheses(String(expr.value), expr.value < 0 && level > UNARY);
    case "random":
      return `random(${expr.seed})`;
    case "neg":
      return inParentheses(`-${formatAt(expr.of, UNARY)}`, level > UNARY);
    case "abs":
    case "sqrt":
    case "exp":
    case "log":
      return `${expr.op}(${formatScore(expr.of)})`;
    case "min":
    case "max":
      return `${expr.op}(${formatScore(expr.left)}, ${formatScore(expr.right)})`;
    default: {
      const own = expr.op === "add" || expr.op === "sub" ? SUM : PRODUCT;
      const text = `${formatAt(expr.left, own)} ${SIGNS[expr.op]} ${formatAt(expr.right, own + 1)}`;
      return inParentheses(text, level > own);
    }
  }
}

function inParentheses(text: string, needed: boolean): string {
  return needed ? `(${text})` : text;
}
