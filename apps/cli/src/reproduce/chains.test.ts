import { fastgen, resolvePolicy, PolicyRegistry } from "@winnow/kv-policies";
import { describe, expect, test } from "vitest";

import { PUNCTUATION_LAST, RATIO_POLICIES, WITHOUT, chainOf, paperCells } from "./chains";

const ALL = { table1: true, table4: true, table5: true, figure6: true };
const NONE = { table1: false, table4: false, table5: false, figure6: false };

describe("the paper's chains", () => {
  test("in the paper's order are the preset's candidates", () => {
    expect(chainOf(["special", "punctuation", "frequent", "recent"])).toEqual(
      fastgen().candidates.map(({ text }) => text),
    );
  });

  test("without a class never name it, and keep the order of the others", () => {
    const classes = WITHOUT.map(({ name, classes: others }) => [name, others]);
    expect(Object.fromEntries(classes)).toEqual({
      "without-special": ["punctuation", "frequent", "recent"],
      "without-punctuation": ["special", "frequent", "recent"],
      "without-frequent": ["special", "punctuation", "recent"],
      "without-recent": ["special", "punctuation", "frequent"],
    });
    expect(chainOf(PUNCTUATION_LAST.classes).slice(-2)).toEqual([
      "special | frequent(30%) | recent(30%) | punctuation",
      "full",
    ]);
  });
});

describe("the cells of the paper's comparisons", () => {
  test("are the full cache, FastGen at every T of table 1, and all others at the T that was asked for", () => {
    const cells = paperCells(ALL, 0.9);
    expect(cells[0]?.policy).toBe("full");
    const held = cells.slice(1).map(({ policy, recovery }) => `${policy} ${recovery}`);
    expect(new Set(held).size).toBe(held.length);
    for (const recovery of [0.9, 0.91, 0.93, 0.95, 0.98]) expect(held).toContain(`fastgen ${recovery}`);
    for (const { name } of [...WITHOUT, PUNCTUATION_LAST]) expect(held).toContain(`${name} 0.9`);
    for (const { policy } of RATIO_POLICIES) expect(held).toContain(`${policy} 0.9`);
    expect(held).toHaveLength(5 + 5 + 6);
  });

  test("are those of one table where it alone is asked for, and none where none is", () => {
    expect(paperCells(NONE, 0.98)).toEqual([]);
    const names = paperCells({ ...NONE, table5: true }, 0.98).map(({ policy }) => policy);
    expect(names).toEqual(["full", "fastgen", "punctuation-last"]);
  });

  test("of figure 6 are FastGen with other shares", () => {
    for (const { policy, frequent, recent } of RATIO_POLICIES) {
      const resolved = resolvePolicy(policy, new PolicyRegistry());
      const candidates = resolved.kind === "preset" ? resolved.preset.candidates : [];
      expect(candidates[3]?.text).toBe(fastgen(frequent, recent).candidates[3]?.text);
    }
  });
});
