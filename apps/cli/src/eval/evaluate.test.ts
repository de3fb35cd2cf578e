import { readFile, writeFile } from "node:fs/promises";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { PolicyRegistry } from "@winnow/kv-policies";
import { loadModel, openBackend, type Model } from "@winnow/runtime";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";

import { limits } from "../options/numbers";
import { cellsOf } from "./cells";
import { CUT_POINTS } from "./cut-point";
import { evaluate, type EvaluateOptions } from "./evaluate";
import { exampleTokens } from "./example-tokens";
import type { EvalResult } from "./results";
import { SavedAnswers } from "./saved-answers";
import { needle } from "./tasks/needle";
import { TASKS, tasksOf } from "./tasks/tasks";
import { Draw } from "./world/draw";

const DEMO = fileURLToPath(new URL("../../../../models/demo", import.meta.url));
const dir = mkdtempSync(join(tmpdir(), "winnow-eval-"));
let model: Model;

beforeAll(async () => {
  model = await loadModel(DEMO, { backend: await openBackend("cpu") });
});
afterAll(() => {
  model[Symbol.dispose]();
  rmSync(dir, { recursive: true });
});

const size = () => ({ tokens: 60, count: (text: string) => model.tokenizer.encode(text).length });

const options = (): EvaluateOptions => ({
  tasks: tasksOf("needle,story"),
  files: [],
  maxTokens: 16,
  cells: cellsOf("snapkv,random", limits("0.5"), new PolicyRegistry()),
  samples: 2,
  seed: 1,
  tokens: 60,
  kind: "held-out",
  question: "unseen",
  saved: null,
});

const resultsFor = async (...asked: Parameters<typeof evaluate>): Promise<readonly EvalResult[]> =>
  (await evaluate(...asked)).results;

describe("an example's tokens", () => {
  test.each(TASKS.map((task) => [task.name, task] as const))(
    "of %s are the conversation's, however it is cut",
    (_, task) => {
      for (let seed = 0; seed < 10; seed++) {
        const example = task.example(new Draw(seed), size());
        const [unseen, seen, atOnce] = CUT_POINTS.map((point) => {
          const { prompt, before, answer } = exampleTokens(model, example, { question: point });
          return { ids: [...prompt.ids, ...before, ...answer], prompt, answer };
        });
        expect(unseen?.ids).toEqual(seen?.ids);
        expect(unseen?.answer).toEqual(seen?.answer);
        expect([...(atOnce?.prompt.ids ?? []), ...(atOnce?.answer ?? [])]).toEqual(seen?.ids);
        const messages = example.turns.flatMap(({ question, answer }, i) => [
          {
            role: "user" as const,
            content: i === 0 && example.context !== "" ? `${example.context}\n\n${question}` : question,
          },
          { role: "assistant" as const, content: answer },
        ]);
        const whole = model.template?.render(
          [...(example.system === null ? [] : [{ role: "system" as const, content: example.system }]), ...messages],
          { addGenerationPrompt: false },
        );
        expect(model.tokenizer.decode(unseen?.ids ?? [], { skipSpecial: false })).toBe(whole);
        // Cut before the question is seen, it is not in the prompt.
        const [{ question } = { question: "" }] = example.turns;
        const read = model.tokenizer.decode(unseen?.prompt.ids ?? [], { skipSpecial: false });
        if (example.context === "") continue;
        expect(read.endsWith(example.context)).toBe(true);
        expect(read).not.toContain(question);
      }
    },
  );
});

describe("a probe over an example", () => {
  test.each(CUT_POINTS)("asks what it is told to, where the cut is %s", (question) => {
    const example = needle.example(new Draw(3), size());
    const { prompt } = exampleTokens(model, { ...example, system: "Answer briefly." }, { question, request: "Again?" });
    const request = prompt.probe?.kind === "replay" ? prompt.probe.request : [];
    expect(model.tokenizer.decode(request, { skipSpecial: true })).toContain("Again?");
  });

  test.each(CUT_POINTS)("replays a long system message too, where the cut is %s", (question) => {
    const example = needle.example(new Draw(3), size());
    const { prompt } = exampleTokens(model, { ...example, system: "Answer briefly. ".repeat(60) }, { question });
    const subject = prompt.probe?.kind === "replay" ? prompt.probe.subject : [];
    const text = model.tokenizer.decode(subject);
    expect(text).toContain("Answer briefly.");
    expect(text).toContain(example.context.slice(0, 30));
  });
});

describe("an example that is too long", () => {
  test("is refused by the option that says how long it is", () => {
    const example = needle.example(new Draw(1), { ...size(), tokens: 1024 });
    expect(() => exampleTokens(model, example, { question: "seen" })).toThrow(
      /^an example with its question and answer has 10\d\d tokens, and the context holds 1024; give fewer with --tokens$/,
    );
  });
});

describe("an evaluation", () => {
  test("gives each policy the full cache's own score where it keeps everything, and its bytes where it does not", async () => {
    const results = await resultsFor(
      { whole: model, quantised: new Map() },
      { ...options(), cells: cellsOf("kvzip(100%)", limits("1"), new PolicyRegistry()) },
    );
    for (const { policy, score, kl, agreement, flips, bytes, fullBytes } of results) {
      const full = results.find((one) => one.policy === "full");
      expect(policy === "full" || kl < 1e-6).toBe(true);
      expect(agreement).toBe(1);
      expect(flips).toBe(0);
      expect(score).toBeLessThanOrEqual(1);
      expect(bytes).toBeLessThanOrEqual(fullBytes);
      expect(full?.bytes).toBe(full?.fullBytes);
    }
  });

  test("writes answers to the questions of files", async () => {
    const context = "Mira keeps the red key in the barn. Tom is 31 years old.";
    const examples = [
      { context, question: "Where does Mira keep the red key?", answers: ["barn"] },
      { context, question: "How old is Tom?", answers: ["31"] },
    ];
    const score = (written: string, [answer = ""]: readonly string[]): number => (written.includes(answer) ? 1 : 0);
    const files = [{ name: "facts", examples, score }];
    const results = await resultsFor(
      { whole: model, quantised: new Map() },
      { ...options(), tasks: [], files, cells: cellsOf("kvzip(100%),random", limits("1,0.2"), new PolicyRegistry()) },
    );
    const [full, whole] = results;
    expect(full).toMatchObject({ task: "facts", policy: "full", samples: 2, score: 1, agreement: 1 });
    expect(whole?.score).toBe(full?.score);
    expect(whole?.kl).toBeLessThan(1e-6);
    expect(results.at(-1)?.kl).toBeGreaterThan(0.01);
  });

  test("counts caches in q8 and q4 at their own size, cut or whole", async () => {
    using q8 = await loadModel(DEMO, { backend: await openBackend("cpu"), kvType: "q8" });
    using q4 = await loadModel(DEMO, { backend: await openBackend("cpu"), kvType: "q4" });
    const cells = cellsOf("full-q8,full-q4,adaptive@q8", limits("0.3"), new PolicyRegistry());
    const models = { whole: model, quantised: new Map([["q8", q8] as const, ["q4", q4] as const]) };
    const results = await resultsFor(models, { ...options(), cells });
    const names = ["full", "full-q8", "full-q4", "adaptive@q8"];
    expect(results.map(({ policy }) => policy)).toEqual([...names, ...names]);
    for (const { policy, bytes, fullBytes, slots, kl } of results) {
      // 32 bytes and a scale of four for 32 elements; half of them in q4.
      if (policy === "full-q8") expect(bytes / fullBytes).toBeCloseTo(36 / 64, 10);
      if (policy === "full-q4") expect(bytes / fullBytes).toBeCloseTo(20 / 64, 10);
      if (policy === "adaptive@q8") {
        expect(bytes / fullBytes).toBeLessThanOrEqual(0.3);
        expect(slots).toBeGreaterThan(0);
      } else expect(kl).toBeLessThan(policy === "full-q4" ? 1 : 0.01);
    }
    await expect(resultsFor({ whole: model, quantised: new Map() }, { ...options(), cells })).rejects.toThrow(
      "its cache in q8",
    );
  });

  test("meets the targets, and goes on from what was saved", async () => {
    const first = await resultsFor({ whole: model, quantised: new Map() }, options());
    for (const { policy, bytes, fullBytes, low, score, high } of first) {
      if (policy !== "full") expect(bytes).toBeLessThanOrEqual(0.5 * fullBytes);
      expect(low).toBeLessThanOrEqual(score);
      expect(high).toBeGreaterThanOrEqual(score);
    }
    const path = join(dir, "answers.jsonl");
    await resultsFor(
      { whole: model, quantised: new Map() },
      { ...options(), samples: 1, saved: await SavedAnswers.open(path, "settings") },
    );
    // As if it had been interrupted in the middle of a line.
    await writeFile(path, `${await readFile(path, "utf8")}{"task": "needle", "asked"`);
    let answered = 0;
    const again = await resultsFor(
      { whole: model, quantised: new Map() },
      {
        ...options(),
        saved: await SavedAnswers.open(path, "settings"),
        onProgress: () => answered++,
      },
    );
    expect(again).toEqual(first);
    expect(answered).toBe(4);
    // What was answered after the interruption is whole lines again.
    let seen = 0;
    const third = { ...options(), saved: await SavedAnswers.open(path, "settings"), samples: 2 };
    const put = vi.spyOn(third.saved, "put");
    expect(await resultsFor({ whole: model, quantised: new Map() }, { ...third, onProgress: () => seen++ })).toEqual(
      first,
    );
    expect(put).not.toHaveBeenCalled();
    expect(seen).toBe(4);
    // Another policy and another sample are all that a longer run asks for.
    const longer = {
      ...options(),
      cells: cellsOf("snapkv,random,tova", limits("0.5"), new PolicyRegistry()),
      samples: 3,
    };
    const saved = await SavedAnswers.open(path, "settings");
    const asked = vi.spyOn(saved, "put");
    expect(await resultsFor({ whole: model, quantised: new Map() }, { ...longer, saved })).toEqual(
      await resultsFor({ whole: model, quantised: new Map() }, longer),
    );
    expect(asked.mock.calls.map(([, { sample }, outcomes]) => [sample, outcomes.map(([id]) => id)])).toEqual(
      ["needle", "story"].flatMap(() => [
        [0, ["full", "tova at 0.5"]],
        [1, ["full", "tova at 0.5"]],
        [2, ["full", "snapkv at 0.5", "random at 0.5", "tova at 0.5"]],
      ]),
    );
    await expect(SavedAnswers.open(path, "others")).rejects.toThrow("a run with other settings");
  });
});
