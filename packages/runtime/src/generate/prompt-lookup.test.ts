import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { PromptLookup } from "./prompt-lookup";

function proposed(tokens: readonly number[], most: number): readonly number[] {
  const lookup = new PromptLookup();
  for (const token of tokens) lookup.push(token);
  return lookup.propose(most);
}

/** The same by looking at every place anew. */
function searched(tokens: readonly number[], most: number): readonly number[] {
  for (const length of [4, 3, 2]) {
    for (let place = tokens.length - 1; place >= length; place--) {
      const before = tokens.slice(place - length, place);
      if (!before.every((token, i) => token === tokens[tokens.length - length + i])) continue;
      const guess = [...tokens.slice(place)];
      for (let i = 0; guess.length < most; i++) guess.push(guess[i] ?? NaN);
      return guess.slice(0, most);
    }
  }
  return [];
}

describe("what followed before is the guess", () => {
  test.each([
    ["of the newest tokens", [7, 8, 9, 4, 7, 8], 2, [9, 4]],
    ["of the longest run", [1, 2, 3, 30, 9, 2, 3, 40, 1, 2, 3], 1, [30]],
    ["where it stood last", [1, 2, 30, 1, 2, 40, 1, 2], 1, [40]],
    ["going on with itself", [5, 6, 5, 6], 5, [5, 6, 5, 6, 5]],
    ["of one token that repeats", [3, 3, 3], 4, [3, 3, 3, 3]],
  ])("%s", (_, tokens, most, expected) => {
    expect(proposed(tokens, most)).toEqual(expected);
  });

  test("by nothing where no two tokens agree", () => {
    expect(proposed([], 3)).toEqual([]);
    expect(proposed([1], 3)).toEqual([]);
    expect(proposed([1, 2, 3, 2], 3)).toEqual([]);
    expect(proposed([1, 2, 1, 2], 0)).toEqual([]);
  });

  test("as a search of all places finds it", () => {
    const tokens = fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 40 });
    fc.assert(
      fc.property(tokens, fc.integer({ min: 0, max: 9 }), (some, most) => {
        expect(proposed(some, most)).toEqual(searched(some, most));
      }),
      { numRuns: 500 },
    );
  });

  test("which costs no more the more tokens there were", () => {
    const timeOf = (lookup: PromptLookup, count: number): number => {
      const started = performance.now();
      for (let i = 0; i < count; i++) {
        lookup.push(i % 997);
        lookup.propose(4);
      }
      return performance.now() - started;
    };
    timeOf(new PromptLookup(), 50_000);
    const lookup = new PromptLookup();
    const early = timeOf(lookup, 2000);
    timeOf(lookup, 400_000);
    // A look at every token before would take two hundred times as long.
    expect(timeOf(lookup, 2000)).toBeLessThan(20 * early + 20);
  });
});
