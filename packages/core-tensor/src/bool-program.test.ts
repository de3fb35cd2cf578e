import { describe, expect, it } from "vitest";

import { BoolOp, MAX_OPERAND, boolWord, runBoolProgram, type SlotFacts } from "./bool-program";

const slot: SlotFacts = { flags: 0b101, position: 12, distance: 7, rank: (test) => test === 1 };
const [yes, no] = [boolWord(BoolOp.constant, 1), boolWord(BoolOp.constant, 0)];
const run = (...program: number[]): boolean => runBoolProgram(program, slot);

describe("runBoolProgram", () => {
  it.each([
    [[boolWord(BoolOp.hasClass, 0b100)], true],
    [[boolWord(BoolOp.hasClass, 0b010)], false],
    [[boolWord(BoolOp.before, 13)], true],
    [[boolWord(BoolOp.before, 12)], false],
    [[boolWord(BoolOp.every, 5), 2], true],
    [[boolWord(BoolOp.every, 5), 3], false],
    [[boolWord(BoolOp.near, 8)], true],
    [[boolWord(BoolOp.near, 7)], false],
    [[boolWord(BoolOp.rank, 1)], true],
    [[boolWord(BoolOp.rank, 0)], false],
  ])("%j is %s", (program, expected) => {
    expect(run(...program)).toBe(expected);
    expect(run(...program, boolWord(BoolOp.not))).toBe(!expected);
  });

  it("joins what lies on the stack", () => {
    for (const [a, b] of [
      [yes, yes],
      [yes, no],
      [no, yes],
      [no, no],
    ] as const) {
      expect(run(a, b, boolWord(BoolOp.and))).toBe(a === yes && b === yes);
      expect(run(a, b, boolWord(BoolOp.or))).toBe(a === yes || b === yes);
      // What lies below stays as it is.
      expect(run(no, a, b, boolWord(BoolOp.and), boolWord(BoolOp.or))).toBe(a === yes && b === yes);
      expect(run(yes, a, b, boolWord(BoolOp.or), boolWord(BoolOp.and))).toBe(a === yes || b === yes);
    }
    const deep = [...new Array<number>(16).fill(no), yes, ...new Array<number>(16).fill(boolWord(BoolOp.or))];
    expect(run(...deep)).toBe(true);
  });

  it("refuses what is no program", () => {
    expect(() => run()).toThrow("leaves 0 values");
    expect(() => run(yes, yes)).toThrow("leaves 2 values");
    expect(() => run(0xff)).toThrow("unknown word 255 at place 0");
    expect(() => boolWord(BoolOp.near, MAX_OPERAND + 1)).toThrow("outside 0..16777215");
    expect(boolWord(BoolOp.near, MAX_OPERAND)).toBe(0xffffff04);
  });
});
