import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { expectAllParts, ggufModels, modelsMeant } from "./gguf-models";

const REPO = [
  "SmolLM2-135M-Instruct-Q4_K_M.gguf",
  "SmolLM2-135M-Instruct-Q4_K_S.gguf",
  "SmolLM2-135M-Instruct-Q4_0.gguf",
  "SmolLM2-135M-Instruct-Q4_0_4_4.gguf",
  "SmolLM2-135M-Instruct-IQ4_XS.gguf",
  "SmolLM2-135M-Instruct-f16.gguf",
  "BF16/SmolLM2-BF16.gguf",
  "q6_k/SmolLM2.gguf",
  "model.Q5_K_M.gguf",
  "model_Q3_K.gguf",
];

describe("what a FILE means", () => {
  test.each([
    ["Q4_K_M", [REPO[0]]],
    ["q4_k_m", [REPO[0]]],
    ["Q4_K", []],
    ["Q4_0", [REPO[2]]],
    ["Q4_0_4_4", [REPO[3]]],
    ["IQ4_XS", [REPO[4]]],
    ["Q4_XS", []],
    ["F16", [REPO[5]]],
    ["bf16", [REPO[6]]],
    ["Q6_K", [REPO[7]]],
    ["Q5_K_M", [REPO[8]]],
    ["Q3_K", [REPO[9]]],
    ["model.Q5_K_M.gguf", [REPO[8]]],
    ["BF16/SmolLM2-BF16.gguf", [REPO[6]]],
    ["SmolLM2-BF16.gguf", []],
    ["SmolLM2-135M-Instruct", REPO.slice(0, 6)],
    [".*", []],
    ["Q4_._M", []],
  ])("%s", (file, expected) => {
    expect(modelsMeant(REPO, file)).toEqual(expected);
  });

  test("a part of a split model, or what its parts are called without their numbers", () => {
    const models = ["big-Q8_0.gguf"];
    expect(modelsMeant(models, "big-Q8_0-00002-of-00003.gguf")).toEqual(models);
    expect(modelsMeant(models, "big-Q8_0.gguf")).toEqual(models);
    expect(modelsMeant(models, "Q8_0")).toEqual(models);
  });

  test("what goes with a model is none", () => {
    const files = ["mmproj-F16.gguf", "x/mmproj-model.gguf", "imatrix.gguf", "a.gguf", "a.safetensors", "README.md"];
    expect([...ggufModels(files.map((path) => ({ path }))).keys()]).toEqual(["a.gguf"]);
  });
});

test("the parts of a split model are put in order, and counted", () => {
  fc.assert(
    fc.property(
      fc
        .integer({ min: 1, max: 12 })
        .chain((total) => fc.tuple(fc.constant(total), fc.shuffledSubarray(numbers(total)))),
      ([total, there]) => {
        const part = (i: number): string => `q8_0/m-Q8_0-${pad(i)}-of-${pad(total)}.gguf`;
        const models = ggufModels([...there.map((i) => ({ path: part(i) })), { path: "m-Q4_0.gguf" }]);
        const parts = models.get("q8_0/m-Q8_0.gguf") ?? [];
        expect(models.size).toBe(there.length === 0 ? 1 : 2);
        expect(parts.map(({ path }) => path)).toEqual(there.toSorted((a, b) => a - b).map(part));
        if (there.length === 0) return;
        const check = (): void => {
          expectAllParts("m", parts);
        };
        if (there.length === total) check();
        else expect(check).toThrow(`is split into ${total} files, of which the repository has ${there.length}`);
      },
    ),
    { seed: 3, numRuns: 300 },
  );
});

function numbers(total: number): number[] {
  return Array.from({ length: total }, (_, i) => i + 1);
}

function pad(i: number): string {
  return String(i).padStart(5, "0");
}
