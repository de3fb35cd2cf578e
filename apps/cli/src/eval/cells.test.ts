import { PolicyRegistry } from "@winnow/kv-policies";
import type { HeadPlan } from "@winnow/profiler";
import { expect, test } from "vitest";

import { limits } from "../options/numbers";
import { cellsOf, DEFAULT_POLICIES, planCells } from "./cells";
import { limited } from "./limit";

const lines = (policies: string, at: string): string[] =>
  cellsOf(policies, limits(at), new PolicyRegistry()).map((cell) => limited(cell.policy, cell));

test("the full cache comes first, and what has no budget comes once", () => {
  expect(lines("snapkv,full", "50%,0.25")).toEqual(["full", "snapkv at 50 %", "snapkv at 25 %"]);
  expect(lines("adaptive", "own,50%")).toEqual(["full", "adaptive", "adaptive at 50 %"]);
  expect(lines("top(mass, 30%) | recent(8),adaptive", "50%")).toEqual([
    "full",
    "top(mass, 30%) | recent(8)",
    "adaptive at 50 %",
  ]);
});

test("what has no threshold is held to no recovery", () => {
  expect(lines("fastgen,snapkv,sink(4)", "T=95%,50%")).toEqual([
    "full",
    "fastgen at T 95 %",
    "fastgen at 50 %",
    "snapkv at 50 %",
    "sink(4)",
  ]);
  const [, fastgen, adaptive] = cellsOf("fastgen,adaptive", limits("T=0.9"), new PolicyRegistry());
  expect([fastgen, adaptive].map((cell) => cell?.session.recovery)).toEqual([0.9, 0.9]);
});

test("every policy of the default list exists and meets targets", () => {
  const cells = cellsOf(DEFAULT_POLICIES, limits("50%"), new PolicyRegistry());
  expect(cells.filter(({ target }) => target === null).map(({ policy }) => policy)).toEqual(["full", "full-q8"]);
  expect(cells).toHaveLength(DEFAULT_POLICIES.split(",").length);
});

test("a policy's cache can be of fewer bits", () => {
  const cells = cellsOf("full-q4,adaptive@q8,top(mass, 30%) | recent(8)@q4", limits("50%"), new PolicyRegistry());
  expect(cells.map(({ policy, kvType, session }) => [policy, kvType, session.policy])).toEqual([
    ["full", null, "full"],
    ["full-q4", "q4", "full"],
    ["adaptive@q8", "q8", "adaptive"],
    ["top(mass, 30%) | recent(8)@q4", "q4", "top(mass, 30%) | recent(8)"],
  ]);
  expect(() => lines("adaptive@q5", "50%")).toThrow('"adaptive@q5": q5 behind an @; expected q8, q4 or upgrade');
  expect(() => lines("adaptive@q8@q4", "50%")).toThrow("a cache in q8 and in q4; expected one of them");
});

test("a policy can be upgraded where its heads drift", () => {
  const cells = cellsOf("fastgen,fastgen@upgrade,fastgen@q8@upgrade", limits("T=80%"), new PolicyRegistry());
  expect(cells.map(({ id, kvType, session }) => [id, kvType, session.policy, session.drift])).toEqual([
    ["full", null, "full", undefined],
    ["fastgen at T=0.8", null, "fastgen", undefined],
    ["fastgen@upgrade at T=0.8", null, "fastgen", "upgrade"],
    ["fastgen@q8@upgrade at T=0.8", "q8", "fastgen", "upgrade"],
  ]);
});

test("what is no policy or no share is refused", () => {
  expect(() => lines("snapvk", "50%")).toThrow('unknown policy "snapvk"');
  expect(() => limits("50%,120%")).toThrow("Expected a share above 0");
  expect(() => limits("50%,")).toThrow("Expected a share above 0");
  expect(() => limits("T=0")).toThrow("Expected a share above 0");
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
