import { describe, expect, test } from "vitest";

import {
  PolicySyntaxError,
  TokenClass,
  TokenClasses,
  parsePolicy,
  tokenSetsOf,
  tokens,
  type VocabularyEntry,
} from "./index";
import { rawToken, token } from "./testing/vocabulary";

const flagOf = (entry: VocabularyEntry): number | undefined => new TokenClasses([entry]).flagsOf([0])[0];

describe("classes that every vocabulary has", () => {
  test.each([
    [","],
    [" ,"],
    ["...\n"],
    ["§"],
    ["€"],
    ["+="],
    ["😀"],
    ["❤️".slice(0, 1)],
    ["，"],
    ["“"],
    ["\u0085,"],
    ["\u00a0—\u3000"],
    ["`^~"],
    ["<|>"],
  ])("%j is punctuation", (text) => {
    expect(flagOf(token(text))).toBe(TokenClass.punctuation);
  });

  test.each([
    ["a space", token(" ")],
    ["white space", token(" \n\t\u3000")],
    ["a letter", token("a")],
    ["a letter with a comma", token(",a")],
    ["a digit", token("7")],
    ["signs around white space", token(", ,")],
    ["an emoji with a variation selector, which is a mark", token("❤️")],
    ["a joiner, which is a format character", token("\u200d")],
    ["a byte-order mark before a comma: JavaScript would trim it", token("\ufeff,")],
    ["a control character", token("\u0000")],
    ["nothing at all", rawToken()],
    ["the first byte of a character", rawToken(0xc2)],
    ["the last byte of a character", rawToken(0xa7)],
    ["a comma and half a character", rawToken(0x2c, 0xe2, 0x80)],
    ["an overlong comma", rawToken(0xc0, 0xac)],
    ["a surrogate half", rawToken(0xed, 0xa0, 0x80)],
    ["a byte that starts no character", rawToken(0xff)],
  ])("%s has no class", (_, entry) => {
    expect(flagOf(entry)).toBe(0);
  });

  test("a special token is nothing else, whatever its text", () => {
    expect(flagOf(token("<|end|>", true))).toBe(TokenClass.special);
    expect(flagOf(token("|", true))).toBe(TokenClass.special);
  });

  test("ids outside the vocabulary have no class", () => {
    expect([...new TokenClasses([token(",")]).flagsOf([0, 1, 99])]).toEqual([2, 0, 0]);
  });

  test("a byte-level token is its bytes, not its spelling: Ġ stands for a space", () => {
    expect(flagOf(token(" ,"))).toBe(TokenClass.punctuation);
    // The letter Ġ itself, U+0120.
    expect(flagOf(token("Ġ,"))).toBe(0);
  });
});

describe("sets of tokens", () => {
  const vocabulary = [token("<s>", true), token("7"), token(" 42"), token("cat"), rawToken(0xc3), rawToken()];
  const flags = (text: string): number[] => {
    const policy = parsePolicy(text);
    const classes = new TokenClasses(vocabulary);
    expect(classes.reserve(tokenSetsOf(policy))).toBe(true);
    return [...classes.flagsOf([0, 1, 2, 3, 4, 5])];
  };

  test("by id", () => {
    expect(flags("tokens(1, 4)")).toEqual([1, 4, 0, 0, 4, 0]);
  });

  test("by a pattern over the text; half a character and an unused id have none", () => {
    expect(flags("tokens(/\\d/)")).toEqual([1, 4, 4, 0, 0, 0]);
    expect(flags("tokens(/^[^]*$/)")).toEqual([5, 4, 4, 4, 0, 0]);
    expect(flags("tokens(/CAT|^<s>$/i)")).toEqual([5, 0, 0, 4, 0, 0]);
  });

  test("each has a bit of its own, in the order of the policy's text", () => {
    const text = "tokens(/\\d/) | tokens(1) | tokens(1) & tokens(3)";
    expect(parsePolicy(text).text).toBe(text);
    expect(flags(text)).toEqual([1, 4 | 8, 4, 16, 0, 0]);
  });

  test("a pattern has no memory of its last match", () => {
    expect(tokens(/\d/gy).text).toBe("tokens(/\\d/)");
  });

  test("a set that is known already changes nothing", () => {
    const classes = new TokenClasses(vocabulary);
    const sets = tokenSetsOf(parsePolicy("tokens(1)"));
    expect(classes.reserve(sets)).toBe(true);
    expect(classes.reserve(sets)).toBe(false);
    expect(classes.reserve([])).toBe(false);
  });

  test("a fork has the vocabulary, and sets of its own", () => {
    const classes = new TokenClasses(vocabulary);
    classes.reserve(tokenSetsOf(tokens([1])));
    const fork = classes.fork();
    fork.reserve(tokenSetsOf(tokens([2])));
    expect([...classes.flagsOf([0, 1, 2])]).toEqual([1, 4, 0]);
    expect([...fork.flagsOf([0, 1, 2])]).toEqual([1, 0, 4]);
  });

  test("there is room for 22 sets", () => {
    const classes = new TokenClasses(Array.from({ length: 30 }, () => token("a")));
    for (let id = 0; id < 22; id++) classes.reserve(tokenSetsOf(tokens([id])));
    expect([...classes.flagsOf([21])]).toEqual([1 << 23]);
    expect(() => classes.reserve(tokenSetsOf(tokens([22])))).toThrow(
      "tokens(22) is one set too many; a vocabulary has room for 22",
    );
    expect([...classes.flagsOf([22])]).toEqual([0]);
  });

  test("an id outside the vocabulary is refused, every time", () => {
    const classes = new TokenClasses(vocabulary);
    const [set] = tokenSetsOf(tokens([1, 99]));
    if (set === undefined) throw new Error("no set");
    for (let time = 0; time < 2; time++) {
      expect(() => classes.reserve([set])).toThrow(
        "tokens(1, 99) names the token 99; the vocabulary has ids from 0 to 5",
      );
    }
    expect(() => classes.bitOf(set)).toThrow("has no class bit");
  });

  test.each([[[]], [[-1]], [[1.5]], [[NaN]]])("ids %j are no set", (ids) => {
    expect(() => tokens(ids)).toThrow(/^tokens: /);
    expect(() => tokens(ids)).not.toThrow(PolicySyntaxError);
  });
});
