import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { amountOf, count, formatAmount, parsePolicy, ratio, recent, shortestRatio, slotsOf } from "./index";

describe("an amount", () => {
  test.each([
    [0.3, "30%"],
    [0.125, "12.5%"],
    [0.07, "7%"],
    [0.14, "14%"],
    [0.29, "29%"],
    [0.56, "56%"],
    [0.333, "33.3%"],
    [1 / 3, "33.33333333333333%"],
    [0.1 + 0.2, "30.000000000000004%"],
    [0.005, "0.5%"],
    [1e-7, "0.00001%"],
    [0.9999, "99.99%"],
    [1, "1"],
    [64, "64"],
    [16_777_215, "16777215"],
  ])("%d is %s in text", (value, text) => {
    expect(formatAmount(amountOf(value))).toBe(text);
    expect(parsePolicy(`recent(${text})`).equals(recent(value))).toBe(true);
  });

  test("the shortest ratio of some slots stands for just these", () => {
    expect(formatAmount(shortestRatio(29, 120))).toBe("24%");
    expect(formatAmount(shortestRatio(7, 7))).toBe("100%");
    // 0.07 · 100 is 7.000000000000001 in float64.
    expect(formatAmount(shortestRatio(7, 100))).toBe("6.9%");
    for (let tokens = 1; tokens <= 200; tokens++) {
      for (let slots = 1; slots <= tokens; slots++) expect(slotsOf(shortestRatio(slots, tokens), tokens)).toBe(slots);
    }
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200_000 }), fc.double({ min: 0, max: 1, noNaN: true }), (tokens, share) => {
        const slots = Math.max(1, Math.round(share * tokens));
        expect(slotsOf(shortestRatio(slots, tokens), tokens)).toBe(slots);
      }),
    );
  });

  test("the whole can be written in text, and as a ratio", () => {
    expect(parsePolicy("recent(100%)").equals(recent(ratio(1)))).toBe(true);
    expect(recent(ratio(1)).text).toBe("recent(100%)");
  });

  test("text means exactly the ratio it was printed from", () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, minExcluded: true, noNaN: true }), (value) => {
        const text = formatAmount(ratio(value));
        expect(text).toMatch(/^\d+(\.\d+)?%$/);
        const { node } = parsePolicy(`recent(${text})`);
        expect(node.kind === "recent" && node.amount.value).toBe(value);
      }),
    );
  });

  test.each([0, -0.3, 1.5, -4, NaN, Infinity, 16_777_216])("%d is out of range", (value) => {
    expect(() => amountOf(value)).toThrow(
      `an amount of ${value} is out of range; expected a ratio between 0 and 1, or a whole number from 1 to 16777215`,
    );
  });

  test.each([
    [0, "0%"],
    [-0.3, "-30%"],
    [1.5, "150%"],
    [NaN, "NaN%"],
    [Infinity, "Infinity%"],
  ])("a ratio of %d is out of range", (value, text) => {
    expect(() => ratio(value)).toThrow(`a ratio of ${text} is out of range; expected above 0% and at most 100%`);
    expect(() => amountOf({ kind: "ratio", value })).toThrow("is out of range");
  });

  test("a count that someone made up is checked too", () => {
    expect(() => amountOf({ kind: "count", value: 0.3 })).toThrow("an amount of 0.3 is out of range");
    expect(() => count(2.5)).toThrow("an amount of 2.5 is out of range");
  });
});

describe("slots", () => {
  // Python's math.ceil(ratio * tokens), which the oracle uses, in the same arithmetic: 0.07 * 100 is above 7.
  test.each([
    [0.3, 10, 3],
    [0.3, 7, 3],
    [0.3, 1, 1],
    [0.07, 100, 8],
    [0.14, 50, 8],
    [0.29, 100, 29],
    [0.55, 100, 56],
    [0.56, 100, 57],
    [0.57, 100, 57],
    [0.05, 400, 20],
    [1 / 3, 1000, 334],
    [0.9, 10, 9],
  ])("%d of %d tokens are %d", (share, tokens, slots) => {
    expect(slotsOf(ratio(share), tokens)).toBe(slots);
  });

  test("a count is what it is, however long the text", () => {
    expect(slotsOf(count(64), 10)).toBe(64);
  });
});
