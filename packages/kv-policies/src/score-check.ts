import { WinnowError, type Expr } from "@winnow/core-tensor";

import { statistic } from "./score";

/** Names that a score may call with arguments. */
export const SCORE_FUNCTIONS: readonly string[] = ["abs", "sqrt", "exp", "log", "min", "max", "random"];

const MAX_SCORE_DEPTH = 64;
const MAX_SEED = 2 ** 32 - 1;

/**
 * A score as it can be printed, read back and run: checked, the name of a statistic standing for its expression, and a
 * minus taken into its constant.
 *
 * @param score anything: scores come from programs and plug-ins too.
 * @throws WinnowError `policy` naming the part that no score can have.
 */
export function checkScore(score: unknown, depth = 0): Expr {
  if (depth > MAX_SCORE_DEPTH) fail(`it is nested more than ${MAX_SCORE_DEPTH} deep`);
  if (!isRecord(score)) fail(`found ${score === null ? "null" : typeof score}, expected an expression`);
  const part = (of: unknown): Expr => checkScore(of, depth + 1);
  switch (score.op) {
    case "column":
      return checkedColumn(score.name);
    case "constant":
      if (typeof score.value !== "number" || !Number.isFinite(score.value))
        fail(`the constant ${String(score.value)}; expected a finite number`);
      return constantOf(score.value);
    case "random":
      if (typeof score.seed !== "number" || !Number.isInteger(score.seed) || score.seed < 0 || score.seed > MAX_SEED) {
        fail(`random(${String(score.seed)}); expected a whole number from 0 to ${MAX_SEED} for its seed`);
      }
      return { op: "random", seed: score.seed };
    case "neg": {
      const of = part(score.of);
      return of.op === "constant" ? constantOf(-of.value) : { op: "neg", of };
    }
    case "abs":
    case "sqrt":
    case "exp":
    case "log":
      return { op: score.op, of: part(score.of) };
    case "add":
    case "sub":
    case "mul":
    case "div":
    case "min":
    case "max":
      return { op: score.op, left: part(score.left), right: part(score.right) };
    default:
      fail(`the operation ${String(score.op)} is not known`);
  }
}

/** Zero has no sign: a text could not tell, nor could a table of scores. */
function constantOf(value: number): Expr {
  return { op: "constant", value: value === 0 ? 0 : value };
}

function checkedColumn(name: unknown): Expr {
  if (typeof name !== "string" || !/^[A-Za-z_]\w*$/.test(name) || SCORE_FUNCTIONS.includes(name)) {
    fail(`the column "${String(name)}"; expected a letter or _, then letters, digits or _, and not a function's name`);
  }
  return statistic(name) ?? { op: "column", name };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

function fail(problem: string): never {
  throw new WinnowError("policy", `a score cannot be used: ${problem}`);
}
