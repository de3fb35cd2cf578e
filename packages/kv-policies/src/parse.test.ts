import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { PolicySyntaxError, formatScore, parsePolicy, parseScore, top } from "./index";
import { anyPolicy, anyScore } from "./testing/arbitraries";

function syntaxError(text: string): PolicySyntaxError {
  try {
    parsePolicy(text);
  } catch (error) {
    if (error instanceof PolicySyntaxError) return error;
    throw error;
  }
  throw new Error(`"${text}" parses`);
}

describe("parse ∘ print = identity", () => {
  test("policies", () => {
    fc.assert(
      fc.property(anyPolicy, (policy) => {
        const parsed = parsePolicy(policy.text);
        expect(parsed.text).toBe(policy.text);
        expect(parsed.equals(policy)).toBe(true);
        expect(JSON.stringify(parsed.node)).toBe(JSON.stringify(policy.node));
      }),
      { numRuns: 500 },
    );
  });

  test("scores", () => {
    fc.assert(
      fc.property(anyScore, (score) => {
        // What `top` makes of a score is what can be printed: a minus is taken into its constant.
        const { node } = top(score, 1);
        if (node.kind !== "top") throw new Error(node.kind);
        const text = formatScore(node.score);
        expect(JSON.stringify(parseScore(text))).toBe(JSON.stringify(node.score));
      }),
      { numRuns: 500 },
    );
  });
});

describe("canonical text", () => {
  test.each([
    ["recent(30%)|frequent( 30 % ) | punctuation|special", "special | punctuation | frequent(30%) | recent(30%)"],
    ["special | (punctuation | special)", "special | punctuation"],
    ["recent(4) & sink(9) | special", "special | sink(9) & recent(4)"],
    ["(recent(4) | sink(9)) & special", "special & (sink(9) | recent(4))"],
    ["recent(9) - sink(4) - special", "recent(9) - sink(4) - special"],
    ["recent(9) - (sink(4) - special)", "recent(9) - (sink(4) - special)"],
    ["recent(9) - sink(4) & special", "special & (recent(9) - sink(4))"],
    ["recent(9) & special - sink(4)", "special & recent(9) - sink(4)"],
    ["special-recent(4)", "special - recent(4)"],
    ["!!special", "special"],
    ["!(special | recent(4))", "!(special | recent(4))"],
    ["! special & ! full", "none"],
    ["top(mass, 30%)", "frequent(30%)"],
    ["top(mass, 30%, head)", "frequent(30%)"],
    ["top(mass, 30%, layer)", "top(mass, 30%, layer)"],
    ["top(mass / (age + 1), 12.5%)", "top(meanMass, 12.5%)"],
    ["top(-(keyNorm), 30%)", "top(-keyNorm, 30%)"],
    ["top((mass - age) - 1, 3) | top(mass - (age - 1), 3)", "top(mass - (age - 1), 3) | top(mass - age - 1, 3)"],
    ["top(mass - -0 * age, 3)", "top(mass - 0 * age, 3)"],
    ["top(-2*mass + 1e-7, 3)", "top(-2 * mass + 1e-7, 3)"],
    ["limit(special|recent(30%), 64, by maxWeight)", "limit(special | recent(30%), 64, by maxWeight)"],
    ["every(4, 6) | every(2)", "every(2) | every(4, 2)"],
    ["tokens(17, 4, 17)", "tokens(4, 17)"],
    ["tokens(/^[/\\]]+\\/$/iu)", "tokens(/^[/\\]]+\\/$/iu)"],
    ["recent(100%) | recent(0.5%)", "recent(0.5%) | recent(100%)"],
    ["top(random(4294967295), 3)", "top(random(4294967295), 3)"],
  ])("%s", (text, canonical) => {
    expect(parsePolicy(text).text).toBe(canonical);
    expect(parsePolicy(canonical).text).toBe(canonical);
  });

  test("the atoms stand in their order, composites last", () => {
    const shuffled =
      "!special | limit(full, 3, by age) | recent(3) | top(age, 3) | frequent(3) | every(3) | sink(3) | tokens(3) | punctuation | special & sink(1)";
    expect(parsePolicy(shuffled).text).toBe(
      "punctuation | tokens(3) | sink(3) | every(3) | frequent(3) | top(age, 3) | recent(3) | !special | limit(full, 3, by age) | special & sink(1)",
    );
  });
});

describe("a text that is no policy", () => {
  test.each([
    ["", 0, "expected a policy, found the end"],
    ["   ", 3, "expected a policy, found the end"],
    ["special |", 9, "expected a policy, found the end"],
    ["special special", 8, 'expected an operator or the end, found "special"'],
    ["special | recnt(4)", 10, 'unknown policy "recnt"; did you mean "recent"?'],
    ["speical", 0, 'unknown policy "speical"; did you mean "special"?'],
    ["heavy-hiter", 0, 'unknown policy "heavy-hiter"; did you mean "heavy-hitter"?'],
    ["special & fastgen", 10, '"fastgen" is a preset, which decides for each head; use it by itself'],
    ["recent", 6, 'expected "(", found the end'],
    ["recent(", 7, "expected an amount, such as 30% or 64, found the end"],
    ["recent(4", 8, 'expected ")", found the end'],
    [
      "recent(0)",
      7,
      "an amount of 0 is out of range; expected a ratio between 0 and 1, or a whole number from 1 to 16777215",
    ],
    ["recent(0%)", 7, "a ratio of 0% is out of range; expected above 0% and at most 100%"],
    ["recent(130%)", 7, "a ratio of 130% is out of range; expected above 0% and at most 100%"],
    ["recent(0.3)", 7, "an amount of 0.3; write 30% for a ratio"],
    ["recent(1.5)", 7, "an amount of 1.5 is out of range"],
    ["recent(16777216)", 7, "an amount of 16777216 is out of range"],
    ["recent(-4)", 7, 'expected an amount, such as 30% or 64, found "-"'],
    ["sink(30%)", 7, 'expected ")", found "%"'],
    ["sink(0)", 5, "0 is out of range; expected a whole number from 1"],
    ["every(2, 1, 0)", 10, 'expected ")", found ","'],
    ["top(mass)", 8, 'expected ",", found ")"'],
    ["top(mas, 3)", 4, 'unknown score "mas"; did you mean "mass"?'],
    ["top(mass +, 3)", 10, 'expected a score, found ","'],
    ["top(1e999, 3)", 4, "a score cannot be used: the constant Infinity; expected a finite number"],
    ["top(mass, 3, row)", 13, 'expected head or layer, found "row"'],
    ["limit(special, 3, mass)", 18, 'expected by, found "mass"'],
    ["tokens()", 7, 'expected a whole number, found ")"'],
    ["tokens(16777216)", 7, "tokens: the id 16777216; expected a whole number from 0 to 16777215"],
    ["tokens(/(/)", 7, "/(/ is not a regular expression"],
    ["tokens(/a/q)", 7, "/a/q is not a regular expression"],
    ["special ‖ recent(4)", 8, 'expected an operator or the end, found "‖"'],
    ["😀", 0, 'expected a policy, found "😀"'],
  ])("%s", (text, position, problem) => {
    const error = syntaxError(text);
    expect(error.position).toBe(position);
    expect(error.problem).toContain(problem);
    expect(error.code).toBe("policy");
    expect(error.message).not.toContain("\n");
  });

  test("a text longer than any policy is refused where it should have ended", () => {
    const error = syntaxError("special|".repeat(2501));
    expect(error.position).toBe(20_000);
    expect(error.problem).toBe("a text of 20008 characters; expected at most 20000");
  });

  test("an unknown name lists what exists", () => {
    expect(syntaxError("foo").message).toBe(
      'policy "foo", character 1: unknown policy "foo". Known: full, none, special, punctuation, tokens, sink, every, frequent, recent, top, limit; by themselves: adaptive, fastgen, heavy-hitter, sink+recent, random, knorm, keydiff, tova, scissorhands, snapkv, expected-attention, criticalkv, r-kv, pyramidkv, ada-kv, kvzip, layer-window',
    );
    expect(syntaxError("top(foo, 3)").message).toContain(
      "Known: mass, meanMass, maxWeight, windowMass, hits, lastMass, keyNorm, valueNorm, outputNorm, keyDiff, age, position, layerLastMass, pooledWindowMass, expectedMass, unlikeness, abs, sqrt, exp, log, min, max, random",
    );
  });

  test("a caret stands under the place", () => {
    expect(syntaxError("special | recnt(4)").caret()).toBe("special | recnt(4)\n          ^");
    expect(syntaxError("special |").caret()).toBe("special |\n         ^");
    expect(syntaxError("😀").caret()).toBe("😀\n^");
    expect(syntaxError("tokens(/😀/) & x").caret()).toBe("tokens(/😀/) & x\n              ^");
  });

  test("the caret's lines are two, short and printable, whatever the text", () => {
    expect(syntaxError("special |\n\tfoo\u001b[31m").caret()).toBe("special |  foo [31m\n           ^");
    const long = `${"special | ".repeat(300)}recnt(4)${" | special".repeat(300)}`;
    const [piece = "", place = ""] = syntaxError(long).caret().split("\n");
    expect(piece.length).toBeLessThan(80);
    expect(piece.slice(place.length - 1)).toMatch(/^recnt/);
    expect(syntaxError(long).message.length).toBeLessThan(500);
  });

  test("nothing but a PolicySyntaxError is thrown, whatever the text", () => {
    const parts = fc.constantFrom(
      ...[
        "special",
        "full",
        "recent(",
        "30%",
        "64",
        "top(",
        "mass",
        "limit(",
        "by",
        "tokens(",
        "/a/",
        "/[/",
        "every(",
        "sink+recent",
      ],
      ...[
        "(",
        ")",
        "|",
        "&",
        "-",
        "!",
        ",",
        "+",
        "*",
        "/",
        "%",
        "0",
        "1e9",
        "random(",
        "min(",
        " ",
        "\n",
        "🙂",
        "\\",
        "-1",
        "layer",
      ],
    );
    const text = fc.oneof(
      fc.string({ unit: "binary", maxLength: 60 }),
      fc.array(parts, { maxLength: 30 }).map((list) => list.join("")),
      fc.tuple(anyPolicy, fc.nat(200), parts).map(([{ text }, at, part]) => text.slice(0, at) + part + text.slice(at)),
      fc
        .tuple(anyPolicy, fc.nat(200), fc.nat(5))
        .map(([{ text }, at, less]) => text.slice(0, at) + text.slice(at + less)),
    );
    fc.assert(
      fc.property(text, (input) => {
        for (const parse of [parsePolicy, parseScore]) {
          try {
            parse(input);
          } catch (error) {
            if (!(error instanceof PolicySyntaxError)) throw error;
            expect(error.position).toBeGreaterThanOrEqual(0);
            expect(error.position).toBeLessThanOrEqual(input.length);
            expect(error.caret().split("\n")).toHaveLength(2);
          }
        }
      }),
      { numRuns: 3000 },
    );
  });

  test.each([
    ["parentheses", `${"(".repeat(9000)}special${")".repeat(9000)}`],
    ["complements", `${"!".repeat(15_000)}special`],
    ["differences", "full-".repeat(3900) + "full"],
    ["differences of what does not vanish", Array.from({ length: 1500 }, (_, i) => `recent(${i + 1})`).join("-")],
    ["minus signs", `top(${"-".repeat(15_000)}mass, 3)`],
    ["a sum", `top(${"mass+".repeat(3000)}mass, 3)`],
    ["parentheses in a score", `top(${"(".repeat(9000)}mass${")".repeat(9000)}, 3)`],
    ["intersections", Array.from({ length: 1500 }, (_, i) => `recent(${i + 1})`).join("&")],
    ["a name", "a".repeat(19_000)],
    ["a name with signs", "a-".repeat(9000)],
    ["a pattern", `tokens(/${"[".repeat(15_000)}/)`],
    ["anything too long", "special|".repeat(5000)],
    ["nested unions and intersections", `${"sink(4)&(recent(4)|(".repeat(500)}special${"))".repeat(500)}`],
  ])("a monstrous text ends soon: %s", (_, text) => {
    const started = performance.now();
    try {
      expect(parsePolicy(text).text).not.toBe("");
    } catch (error) {
      expect(error).toBeInstanceOf(PolicySyntaxError);
    }
    expect(performance.now() - started).toBeLessThan(20_000);
  });
});
