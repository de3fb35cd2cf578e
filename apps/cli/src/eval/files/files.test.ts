import { mkdtempSync, rmSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, describe, expect, test } from "vitest";

import { readFileTask } from "./read-file-task";
import { f1 } from "./longbench";
import { allContained, anyContained } from "./ruler";

const dir = mkdtempSync(join(tmpdir(), "winnow-files-"));
afterAll(() => {
  rmSync(dir, { recursive: true });
});

async function write(name: string, lines: readonly unknown[]): Promise<string> {
  const path = join(dir, name);
  await writeFile(path, lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line))).join("\n"));
  return path;
}

describe("a file of questions", () => {
  test("in RULER's format", async () => {
    const file = await write("niah_single_1.jsonl", [
      { index: 0, input: "Some text.\nThe number is 7.\n\nWhat is the number?", outputs: ["7"], length: 20 },
      { index: 1, input: "The words are a and b.\nWhich words?", outputs: ["a", "b"] },
      { index: 2, input: "No text at all?", outputs: ["x"] },
    ]);
    const { name, examples, score } = await readFileTask(file);
    expect(name).toBe("niah_single_1");
    expect(examples).toEqual([
      { context: "Some text.\nThe number is 7.", question: "What is the number?", answers: ["7"] },
      { context: "The words are a and b.", question: "Which words?", answers: ["a", "b"] },
      { context: "", question: "No text at all?", answers: ["x"] },
    ]);
    expect(score("It is 7 and B", ["7", "b", "c"])).toBeCloseTo(2 / 3, 12);
    const qa = await readFileTask(await write("qa_1.jsonl", [{ input: "A?", outputs: ["x", "y"] }]));
    expect(qa.score("why", ["x", "y"])).toBe(1);
  });

  test("in LongBench's format", async () => {
    const line = { input: "Who?", context: "Ann did.", answers: ["Ann", "the Ann"], _id: "1", dataset: "x", length: 3 };
    const { name, examples, score } = await readFileTask(await write("hotpotqa.jsonl", [line]));
    expect(name).toBe("hotpotqa");
    expect(examples).toEqual([{ context: "Ann did.", question: "Who?", answers: ["Ann", "the Ann"] }]);
    expect(score("It was Ann.", ["Ann", "Bob"])).toBeCloseTo(0.5, 12);
  });

  test.each<[string, readonly unknown[], string]>([
    ["no JSON", ["{", {}], "line 1 is not JSON"],
    ["neither format", [{ question: "x" }], 'line 1 has neither "outputs"'],
    ["nothing", [], 'line 1 has neither "outputs"'],
    ["a line without what the first has", [{ input: "x", outputs: ["y"] }, { input: "x" }], "line 2: outputs:"],
    ["no answers", [{ input: "x", context: "y", answers: [] }], "line 1: answers:"],
  ])("that has %s is refused by line", async (_, lines, message) => {
    await expect(readFileTask(await write("bad.jsonl", lines))).rejects.toThrow(message);
  });
});

test("scores, on worked examples", () => {
  expect(allContained("Seven and EIGHT", ["seven", "nine"])).toBe(0.5);
  expect(anyContained("Seven", ["eight", "seven"])).toBe(1);
  // Three words of four and two of three in common: 2 · (2/4) · (2/3) / (2/4 + 2/3).
  expect(f1("the red big fox ran", "red fox jumped")).toBeCloseTo(4 / 7, 12);
  expect(f1("", "x")).toBe(0);
  expect(f1("a", "The")).toBe(1);
});
