import { readFileSync } from "node:fs";

import { describe, expect, test } from "vitest";

import { exampleSeed } from "../seeds";
import { Draw } from "../world/draw";
import { TASKS, tasksOf } from "./tasks";

const corpus = readFileSync(new URL("../../../../../tools/demo-model/corpus.py", import.meta.url), "utf8");
/** Every word that the demo model was trained on, as the corpus's own source spells it; names and things have plurals. */
const words = new Set(["Repeat", ...(corpus.match(/[A-Za-z]+/g) ?? [])]);
const known = (word: string): boolean => words.has(word) || words.has(word.replace(/s$/, ""));

/** A token a word, more or less. */
const size = { tokens: 120, count: (text: string) => text.split(/\s+/).filter((word) => word !== "").length };
const SEEDS = Array.from({ length: 60 }, (_, sample) => sample);

describe.each(TASKS.map((task) => [task.name, task] as const))("%s", (_, task) => {
  const examples = SEEDS.map((sample) => task.example(new Draw(exampleSeed(3, 0, sample, "held-out")), size));

  test("speaks of the demo model's world alone", () => {
    for (const { system, context, turns } of examples) {
      const texts = [system ?? "", context, ...turns.flatMap(({ question, answer }) => [question, answer])];
      const unknown = texts
        .join(" ")
        .match(/[A-Za-z]+/g)
        ?.filter((word) => !known(word));
      expect(unknown).toEqual([]);
    }
  });

  test("fits, and has a question and an answer each", () => {
    for (const { context, turns } of examples) {
      expect(size.count(context)).toBeLessThanOrEqual(size.tokens);
      if (task.name !== "story") expect(size.count(context)).toBeGreaterThan(size.tokens - 24);
      expect(turns.length).toBeGreaterThan(0);
      for (const { question, answer } of turns) {
        expect(question).not.toBe("");
        expect(answer).not.toBe("");
      }
    }
  });

  test("is the same again from the same seed, and another from another", () => {
    const again = task.example(new Draw(exampleSeed(3, 0, 7, "held-out")), size);
    expect(again).toEqual(examples[7]);
    expect(new Set(examples.map((example) => JSON.stringify(example))).size).toBeGreaterThan(SEEDS.length - 3);
  });

  test("has what it is asked in one sentence of its context", () => {
    if (task.name === "story" || task.name === "hops" || task.name === "ppl") return;
    for (const { system, context, turns } of examples) {
      for (const { answer } of turns) {
        const plain = answer.replace(/^Sir[.] | over[.]$/g, "");
        const telling = plain.match(/[A-Z][a-z]+|\d{2,}|\w{4,}/g)?.filter((word) => word !== "The") ?? [];
        const sentences = context.split(/(?<=[.}])\s+/);
        const saying = sentences.filter((sentence) => telling.every((word) => sentence.includes(word)));
        if (system === "Answer in one word.") expect(saying.length).toBeGreaterThan(0);
        else expect(saying, answer).toHaveLength(1);
      }
    }
  });
});

test("needles lie anywhere in the text", () => {
  const [needle] = tasksOf("needle");
  const places = SEEDS.map((sample) => {
    const example = needle?.example(new Draw(exampleSeed(5, 0, sample, "held-out")), size);
    const value = /(\w+)\W*$/.exec(example?.turns[0]?.answer ?? "")?.[1] ?? "";
    return (example?.context.indexOf(value) ?? 0) / (example?.context.length ?? 1);
  });
  expect(Math.min(...places)).toBeLessThan(0.2);
  expect(Math.max(...places)).toBeGreaterThan(0.8);
});

test("seeds of calibration, of tasks and of runs are never the same", () => {
  const seeds = new Set<number>();
  for (const kind of ["held-out", "calibration"] as const) {
    for (const run of [0, 1, 4095]) {
      for (const task of [0, 7]) for (const sample of [0, 1, 999]) seeds.add(exampleSeed(run, task, sample, kind));
    }
  }
  expect(seeds.size).toBe(2 * 3 * 2 * 3);
});

test("an unknown task is named, with those that exist", () => {
  expect(tasksOf("all")).toHaveLength(8);
  expect(tasksOf("keys, ppl").map(({ name }) => name)).toEqual(["keys", "ppl"]);
  expect(() => tasksOf("needle,hay")).toThrow('there is no task "hay"; expected all, or some of needle, keys');
});
