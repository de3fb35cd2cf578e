import { expect, test } from "vitest";

import { defaultCells, mostSeconds, planCells, whySkipped, type Cell } from "./cells";
import { PEERS, isOnGpu } from "./peer";

const GB = 1e9;
const CELL: Cell = { peer: "winnow full", model: "135m q8_0", context: 1000, batch: 1, start: "read" };

test("cells that were chosen are measured of every peer, those of one place beside each other", () => {
  const cells = planCells({ models: ["demo f16"], contexts: [128, 16_000], batches: [1] }, PEERS);
  expect(cells.map(({ peer, context, start }) => [context, peer, start])).toEqual([
    [128, "winnow full", "read"],
    [128, "winnow fastgen", "read"],
    [128, "winnow adaptive", "read"],
    [128, "winnow full on webgpu", "read"],
    [128, "llama.cpp", "read"],
    [128, "llama.cpp on vulkan", "read"],
    [128, "transformers.js", "read"],
    [16_000, "winnow full", "fill"],
    [16_000, "winnow half cut", "fill"],
    [16_000, "winnow full on webgpu", "fill"],
    [16_000, "winnow half cut on webgpu", "fill"],
    [16_000, "llama.cpp", "fill"],
    [16_000, "llama.cpp on vulkan", "fill"],
    [16_000, "transformers.js", "fill"],
  ]);
});

test("a model in a type that ONNX has no product for is measured of the others", () => {
  const cells = planCells({ models: ["1b q4_k"], contexts: [4000], batches: [1] }, PEERS);
  expect(cells.map(({ peer }) => peer)).toEqual([
    "winnow full",
    "winnow half cut",
    "winnow full on webgpu",
    "winnow half cut on webgpu",
    "llama.cpp",
    "llama.cpp on vulkan",
  ]);
});

test("the default cells come once each, and those of large models are a GPU's", () => {
  const cells = defaultCells(PEERS).map((cell) => JSON.stringify(cell));
  expect(new Set(cells).size).toBe(cells.length);
  const large = defaultCells(PEERS).filter(({ model }) => model.startsWith("8b"));
  expect(new Set(large.map(({ peer }) => peer))).toEqual(
    new Set(["winnow full on webgpu", "winnow half cut on webgpu", "llama.cpp on vulkan"]),
  );
  expect(defaultCells(PEERS.filter((peer) => !isOnGpu(peer))).some(({ model }) => model === "8b f16")).toBe(false);
});

test.each([
  ["135m q8_0", 60],
  ["1b q4_k", 60],
  ["8b f16", 211],
] as const)("%s has %d s", (model, seconds) => {
  expect(mostSeconds(model)).toBe(seconds);
});

test("the default cells have what the verdicts compare", () => {
  const cells = defaultCells(PEERS).filter(({ model, batch }) => model === "135m q8_0" && batch === 1);
  const has = (peer: string, context: number): boolean =>
    cells.some((cell) => cell.peer === peer && cell.context === context);
  for (const peer of ["winnow full", "llama.cpp", "transformers.js"]) expect(has(peer, 1000)).toBe(true);
  for (const peer of ["winnow half cut", "llama.cpp", "transformers.js"]) expect(has(peer, 16_000)).toBe(true);
});

test.each([
  [CELL, 24 * GB, null],
  [{ ...CELL, model: "demo f16" }, 24 * GB, null],
  [{ ...CELL, model: "demo f16", context: 4000 }, 24 * GB, "4021 tokens are over the model's context of 1024"],
  [{ ...CELL, context: 32_000, batch: 32 }, 24 * GB, "about 47.4 GB are over the 19.2 GB"],
  [{ ...CELL, context: 32_000, batch: 32, peer: "llama.cpp" }, 64 * GB, null],
  [{ ...CELL, context: 32_000, batch: 8, peer: "transformers.js" }, 24 * GB, "about 47.4 GB are over"],
] as const)("%j with %d bytes of memory: %j", (cell, memory, why) => {
  const skipped = whySkipped(cell, memory);
  if (why === null) expect(skipped).toBeNull();
  else expect(skipped).toContain(why);
});
