import { fileURLToPath } from "node:url";

import { PolicyRegistry, defineStrategy } from "@winnow/kv-policies";
import { loadModel, openBackend, type Model } from "@winnow/runtime";
import { afterAll, beforeAll, expect, test } from "vitest";

import { limits } from "../options/numbers";
import { cellsOf } from "./cells";
import { exampleTokens } from "./example-tokens";
import { measureRetrieval } from "./retrieval";
import { byRetrieval, meanOver, planAround } from "./retrieval-heads";
import type { Example } from "./tasks/task";

const DEMO = fileURLToPath(new URL("../../../../models/demo", import.meta.url));
const EXAMPLE: Example = {
  system: null,
  context: "The sky was grey. The code of the red box is 4711. Nobody said a word. Tom sat by the door.",
  turns: [{ question: "What is the code of the red box?", answer: "The code of the red box is 4711." }],
};
let model: Model;

beforeAll(async () => {
  model = await loadModel(DEMO, { backend: await openBackend("cpu") });
});
afterAll(() => {
  model[Symbol.dispose]();
});

/** The attention that profiled rows pay to each token of a text, by KV head. */
async function masses(ids: readonly number[], probe: readonly number[]): Promise<readonly Float32Array[]> {
  const found: Float32Array[] = [];
  const registry = new PolicyRegistry();
  registry.register(
    defineStrategy({
      name: "watch",
      needs: ["mass"],
      rows: probe.length > 0 ? "probe" : "prompt",
      decide: ({ heads }) => {
        found.push(...heads.map(({ columns }) => Float32Array.from(columns.mass ?? [])));
        return heads.map(() => "full");
      },
    }),
    "test",
  );
  using session = model.createSession({ policy: "watch", registry });
  await session.read([{ ids, probe: probe.length > 0 ? { kind: "ids", ids: probe } : null }]);
  return found;
}

const placeIn = (ids: readonly number[], answer: readonly number[]): number =>
  ids.findIndex((_, i) => answer.slice(1, -1).every((id, k) => ids[i + 1 + k] === id));

test("a head's score is the mass that the answer's rows give as a probe", async () => {
  const { prompt, before, answer } = exampleTokens(model, EXAMPLE, { question: "unseen" });
  const read = [...prompt.ids, ...before];
  const start = placeIn(prompt.ids, answer);
  expect(start).toBeGreaterThan(0);
  const rows = [...read.slice(-1), ...answer.slice(0, -1)];
  const known = read.slice(0, -1);
  // A probe is profiled with the last eight rows before it.
  const probed = await masses(known, rows);
  const [last, earlier] = [await masses(known, []), await masses(known.slice(0, -8), [])];
  const { scores, samples } = await measureRetrieval(model, [EXAMPLE], [], { question: "unseen" });
  expect(samples).toBe(1);
  const sum = (of: readonly Float32Array[], head: number): number => {
    let mass = 0;
    for (let at = start; at < start + answer.length - 1; at++) mass += of[head]?.[at] ?? 0;
    return mass;
  };
  scores.flat().forEach((score, head) => {
    const added = sum(probed, head) - (sum(last, head) - sum(earlier, head));
    // Two query heads share a KV head.
    expect(score).toBeCloseTo(added / (2 * rows.length), 5);
  });
});

test("what is kept of an answer is counted slot by slot", async () => {
  const cells = cellsOf("sink(4) | recent(20),full", limits("own"), new PolicyRegistry());
  const { kept } = await measureRetrieval(model, [EXAMPLE], cells, { question: "seen" });
  const { prompt, answer } = exampleTokens(model, EXAMPLE, { question: "seen" });
  const { length } = prompt.ids;
  const start = placeIn(prompt.ids, answer);
  const end = start + answer.length - 1;
  const held = Array.from({ length }, (_, i) => i < 4 || i >= length - 20);
  const [full, edges] = kept;
  expect(full?.answer.flat()).toEqual(Array(16).fill(1));
  for (const share of edges?.answer.flat() ?? [])
    expect(share).toBeCloseTo(held.slice(start, end).filter(Boolean).length / (end - start), 10);
  for (const share of edges?.all.flat() ?? []) expect(share).toBeCloseTo(24 / length, 10);
});

test("answers that stand nowhere are refused", async () => {
  const example = { ...EXAMPLE, turns: [{ question: "Why?", answer: "Because nobody ever asked about it." }] };
  await expect(measureRetrieval(model, [example], [], { question: "unseen" })).rejects.toThrow(
    "no answer stands in its prompt",
  );
});

test("heads are ranked by what they look up, and a plan leaves those whole that it is told to", () => {
  const scores = [
    [0.1, 0.4],
    [0.3, 0.2],
  ];
  const ranked = byRetrieval(scores);
  expect(ranked.map(({ layer, head }) => `${layer}.${head}`)).toEqual(["0.1", "1.0", "1.1", "0.0"]);
  expect(meanOver(scores, ranked.slice(0, 2))).toBeCloseTo(0.35, 12);
  const plan = planAround(model.fingerprint, scores, ranked.slice(0, 2), "sink(4)");
  expect(plan.heads).toEqual([
    ["sink(4)", "full"],
    ["full", "sink(4)"],
  ]);
});
