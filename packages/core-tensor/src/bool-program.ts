import { WinnowError } from "./errors";

/** The longest program a device runs. */
export const MAX_PROGRAM_WORDS = 32;

/** The largest operand of an instruction: positions, distances and class masks have 24 bits. */
export const MAX_OPERAND = 0xffffff;

/**
 * A predicate over one slot as postfix words, short enough to travel as data: the low byte of a word is
 * the operation, the rest its operand.
 */
export type BoolProgram = readonly number[];

export const BoolOp = {
  /** Push a constant: operand 0 or 1. */
  constant: 0,
  /** Push whether the slot has any class bit of the operand. */
  hasClass: 1,
  /** Push whether the position is less than the operand. */
  before: 2,
  /** Push whether position mod operand equals the next word. */
  every: 3,
  /** Push whether the distance to the newest row is less than the operand. */
  near: 4,
  /** Push the result of the rank test numbered by the operand. */
  rank: 5,
  not: 6,
  and: 7,
  or: 8,
} as const;

export type BoolOpCode = (typeof BoolOp)[keyof typeof BoolOp];

/** @throws WinnowError `range` when the operand does not fit in 24 bits. */
export function boolWord(op: BoolOpCode, operand = 0): number {
  if (!Number.isInteger(operand) || operand < 0 || operand > MAX_OPERAND) {
    throw new WinnowError("range", `a policy's operand ${operand} is outside 0..${MAX_OPERAND}`);
  }
  return (op | (operand << 8)) >>> 0;
}

/** What a program may ask of a slot. */
export interface SlotFacts {
  readonly flags: number;
  readonly position: number;
  /** Distance to the newest row. */
  readonly distance: number;
  /** The result of a rank test, by its number in the `SelectProgram`. */
  rank(test: number): boolean;
}

/**
 * Run a program on one slot.
 *
 * @throws WinnowError `range` when the program is malformed.
 */
export function runBoolProgram(program: BoolProgram, slot: SlotFacts): boolean {
  // A stack of at most 32 Booleans, the top in the lowest bit.
  let stack = 0;
  let depth = 0;
  const push = (value: boolean): void => {
    stack = (stack << 1) | (value ? 1 : 0);
    depth++;
  };
  for (let i = 0; i < program.length; i++) {
    const word = program[i] ?? 0;
    const operand = word >>> 8;
    switch (word & 0xff) {
      case BoolOp.constant:
        push(operand !== 0);
        break;
      case BoolOp.hasClass:
        push((slot.flags & operand) !== 0);
        break;
      case BoolOp.before:
        push(slot.position < operand);
        break;
      case BoolOp.every:
        push(slot.position % operand === program[++i]);
        break;
      case BoolOp.near:
        push(slot.distance < operand);
        break;
      case BoolOp.rank:
        push(slot.rank(operand));
        break;
      case BoolOp.not:
        stack ^= 1;
        break;
      case BoolOp.and:
        stack = (stack >> 1) & (stack | ~1);
        depth--;
        break;
      case BoolOp.or:
        stack = (stack >> 1) | (stack & 1);
        depth--;
        break;
      default:
        throw new WinnowError("range", `a select program has the unknown word ${word} at place ${i}`);
    }
  }
  if (depth !== 1) throw new WinnowError("range", `a select program leaves ${depth} values, expected 1`);
  return (stack & 1) === 1;
}
