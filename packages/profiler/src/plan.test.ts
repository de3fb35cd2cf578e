import { WinnowError } from "@winnow/core-tensor";
import fc from "fast-check";
import { expect, test } from "vitest";

import { checkPlan, formatPlan, parsePlan } from "./plan";

const model = { layers: 2, queryHeads: 4, kvHeads: 2, headDim: 8, vocabularySize: 100, tokenizer: "abc" };
const plan = {
  model,
  policy: "fastgen",
  recovery: 0.95,
  rows: "prompt" as const,
  generated: "sweep" as const,
  heads: [
    ["full", "special"],
    ["special", "full"],
  ],
};

test("a plan survives its file", () => {
  expect(parsePlan(formatPlan(plan))).toEqual({ format: "winnow-head-plan", version: 1, ...plan });
});

test.each([
  ["not JSON", "hello", /not JSON/],
  ["another version", formatPlan(plan).replace('"version": 1', '"version": 2'), /version/],
  ["a missing field", formatPlan(plan).replace('"recovery": 0.95,', ""), /recovery/],
  ["a field of another type", formatPlan(plan).replace("0.95", '"high"'), /recovery/],
  ["an unknown field", formatPlan(plan).replace('"policy"', '"extra": 1, "policy"'), /extra/],
])("%s is refused in one line that names it", (_, text, message) => {
  expect(() => parsePlan(text, "p.json")).toThrow(message);
  expect(() => parsePlan(text, "p.json")).toThrow(/^p\.json[^\n]*$/);
});

test("damaged plans are refused and nothing else happens", () => {
  const text = formatPlan(plan);
  fc.assert(
    fc.property(fc.nat(text.length - 1), fc.integer({ min: 32, max: 126 }), (at, code) => {
      try {
        parsePlan(text.slice(0, at) + String.fromCharCode(code) + text.slice(at + 1));
      } catch (error) {
        expect(error).toBeInstanceOf(WinnowError);
      }
    }),
    { numRuns: 500 },
  );
});

test.each(["layers", "kvHeads", "headDim", "vocabularySize", "tokenizer"] as const)(
  "a model that differs in %s is named",
  (field) => {
    const other = { ...model, [field]: field === "tokenizer" ? "xyz" : 7 };
    expect(() => {
      checkPlan(parsePlan(formatPlan(plan)), other);
    }).toThrow(new RegExp(field));
  },
);

test("a plan whose heads contradict its model is refused", () => {
  const short = parsePlan(formatPlan({ ...plan, heads: [["full", "full"]] }));
  expect(() => {
    checkPlan(short, model);
  }).toThrow(/1 layers/);
});
