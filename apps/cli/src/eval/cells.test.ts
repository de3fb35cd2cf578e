import { PolicyRegistry } from "@winnow/kv-policies";
import { expect, test } from "vitest";

import { cellsOf, DEFAULT_POLICIES, targetsOf } from "./cells";

const lines = (policies: string, targets: string): string[] =>
  cellsOf(policies, targetsOf(targets), new PolicyRegistry()).map(({ policy, target }) => `${policy} ${target}`);

test("the full cache comes first, and what has no budget comes once", () => {
  expect(lines("snapkv,full", "50%,0.25")).toEqual(["full null", "snapkv 0.5", "snapkv 0.25"]);
  expect(lines("adaptive", "own,50%")).toEqual(["full null", "adaptive null", "adaptive 0.5"]);
  expect(lines("top(mass, 30%) | recent(8),adaptive", "50%")).toEqual([
    "full null",
    "top(mass, 30%) | recent(8) null",
    "adaptive 0.5",
  ]);
});

test("every policy of the default list exists and meets targets", () => {
  const cells = cellsOf(DEFAULT_POLICIES, [0.5], new PolicyRegistry());
  expect(cells.filter(({ target }) => target === null).map(({ policy }) => policy)).toEqual(["full", "full-q8"]);
  expect(cells).toHaveLength(DEFAULT_POLICIES.split(",").length);
});

test("what is no policy or no share is refused", () => {
  expect(() => lines("snapvk", "50%")).toThrow('unknown policy "snapvk"');
  expect(() => targetsOf("50%,120%")).toThrow('"120%" is no share');
  expect(() => targetsOf("50%,")).toThrow('"" is no share');
});
