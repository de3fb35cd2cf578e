import { PolicyRegistry } from "@winnow/kv-policies";
import type { HeadPlan } from "@winnow/profiler";
import { expect, test } from "vitest";

import { targets } from "../options/numbers";
import { cellsOf, DEFAULT_POLICIES, planCells } from "./cells";

const lines = (policies: string, at: string): string[] =>
  cellsOf(policies, targets(at), new PolicyRegistry()).map(({ policy, target }) => `${policy} ${target}`);

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
  expect(() => targets("50%,120%")).toThrow("Expected a share above 0");
  expect(() => targets("50%,")).toThrow("Expected a share above 0");
});

test("two plans of one name are told apart by what they hold", () => {
  const plan: HeadPlan = {
    format: "winnow-head-plan",
    version: 1,
    model: { layers: 1, queryHeads: 1, kvHeads: 1, headDim: 8, vocabularySize: 2, tokenizer: "t" },
    policy: "p",
    recovery: null,
    rows: "prompt",
    generated: "keep",
    heads: [["full"]],
  };
  const [one, same, other] = planCells([
    ["a.json", plan],
    ["a.json", { ...plan }],
    ["a.json", { ...plan, heads: [["recent(4)"]] }],
  ]).map(({ id }) => id);
  expect(same).toBe(one);
  expect(other).not.toBe(one);
});
