import { copyFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { toFloat32 } from "@winnow/core-tensor";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { GgufMetadata } from "../checkpoint/gguf-metadata";
import { ggufTokenizer } from "../checkpoint/gguf-tokenizer";
import { openCheckpoint } from "../checkpoint/open-checkpoint";
import { parseGgufHeader } from "../files/gguf-header";
import { failureOf } from "../files/testing/failure";
import { temporaryDirectory } from "../files/testing/temporary-directory";
import { loadModel } from "../model";
import { expectSameLogits, logProbabilities, openLlamaCpp, sameChoices } from "../testing/llama-cpp";
import { DEMO, TINY } from "../testing/models";
import { goldenIds } from "../testing/prompts";
import { randomModel } from "../testing/random-model";
import { rowLogits } from "../testing/row-logits";
import { Tokenizer } from "../tokenizer";
import { sentencePieceJson } from "../tokenizer/testing/sentence-piece";
import { CONVERT_TYPES, convertModel } from "./convert";
import { ggufHeader } from "./gguf-header-writer";
import { ggufTokenizerFields } from "./gguf-tokenizer-fields";

const at = temporaryDirectory();

/** Every tensor of a model as f32. */
async function tensorsOf(place: string): Promise<Map<string, Float32Array>> {
  await using checkpoint = await openCheckpoint(place);
  await using weights = await checkpoint.weights();
  const found = new Map<string, Float32Array>();
  for (const name of weights.tensors.keys()) found.set(name, toFloat32(await weights.read(name)));
  return found;
}

describe("the demo model as a GGUF file", () => {
  it.each(CONVERT_TYPES)("in %s makes llama.cpp's first choices at 98 of 100 of 1,000 positions", async (type) => {
    const path = at(`${type}.gguf`);
    await convertModel(DEMO, path, { type });
    await using checkpoint = await openCheckpoint(path);
    await using weights = await checkpoint.weights();
    for (const { dtype, shape } of weights.tensors.values()) expect(dtype).toBe(shape.length === 1 ? "f32" : type);
    const ids = goldenIds("demo", 1000);
    const theirs = await openLlamaCpp(path);
    const text = "Tom keeps the red key in the barn. 31 keys, and 🙂 one more!\n";
    expect((await checkpoint.tokenizer()).encode(text)).toEqual(theirs.tokenize(text, true).map(Number));
    const expected = await logProbabilities(theirs, ids);
    await theirs.dispose();
    using model = await loadModel(path);
    // It rounds activations to eight bits, of K types 256 of them by one scale.
    const tolerance = type.startsWith("q4") || type.endsWith("_k") ? 0.05 : 0.03;
    await expectSameLogits(model, expected.slice(0, 64), ids.slice(0, 64), tolerance);
    expect(await sameChoices(model, expected, ids)).toBeGreaterThanOrEqual(0.98);
  });

  it("and as a directory again has the very same weights, shape, tokenizer and template", async () => {
    await convertModel(DEMO, at("there.gguf"), { type: "f32" });
    await convertModel(at("there.gguf"), at("back"), { type: "f16" });
    expect(await tensorsOf(at("back"))).toEqual(await tensorsOf(DEMO));
    await using back = await openCheckpoint(at("back"));
    await using dir = await openCheckpoint(DEMO);
    const { normEpsilon, ...config } = await back.config();
    const { normEpsilon: epsilon, ...expected } = await dir.config();
    expect(config).toEqual(expected);
    expect(normEpsilon).toBeCloseTo(epsilon, 10);
    expect((await back.tokenizer()).fingerprint).toBe((await dir.tokenizer()).fingerprint);
    expect((await back.template())?.source).toBe((await dir.template())?.source);
    expect(new Set((await back.generation()).eosIds)).toEqual(new Set((await dir.config()).eosIds));
  });
});

describe("a model of each family", () => {
  const longrope = {
    rope_type: "longrope",
    short_factor: [1, 1, 1, 1, 1.5, 2, 2, 2],
    long_factor: [1, 2, 3, 4, 5, 6, 7, 8],
    original_max_position_embeddings: 64,
  };
  it.each<[string, Readonly<Record<string, unknown>>]>([
    ["Llama", { architectures: ["LlamaForCausalLM"], tie_word_embeddings: false }],
    ["Qwen2", { architectures: ["Qwen2ForCausalLM"] }],
    ["Qwen3", { architectures: ["Qwen3ForCausalLM"] }],
    ["Phi-3", { architectures: ["Phi3ForCausalLM"], head_dim: 16, rope_scaling: longrope }],
    ["Gemma 2", { architectures: ["Gemma2ForCausalLM"], sliding_window: 9 }],
    ["Gemma 3", { architectures: ["Gemma3ForCausalLM"], num_hidden_layers: 6, sliding_window: 9 }],
    ["SmolLM3", { architectures: ["SmolLM3ForCausalLM"] }],
  ])("is the same there and back: %s", async (name, fields) => {
    const stem = at(name.replaceAll(/\W/g, "-"));
    const dir = await randomModel(stem, fields);
    await convertModel(dir, `${stem}.gguf`, { type: "f32" });
    await convertModel(`${stem}.gguf`, `${stem}-back`, { type: "f32" });
    const [first, second] = [await tensorsOf(dir), await tensorsOf(`${stem}-back`)];
    expect([...second.keys()].sort()).toEqual([...first.keys()].sort());
    for (const [tensor, values] of first) {
      const found = second.get(tensor) ?? new Float32Array(0);
      // To a norm that is stored without it, 1 was added and taken off again.
      values.forEach((value, i) => {
        expect(Math.abs(value - (found[i] ?? NaN)), tensor).toBeLessThanOrEqual(
          tensor.endsWith("norm.weight") ? 1e-7 : 0,
        );
      });
    }
    const logits: Float32Array[][] = [];
    for (const place of [dir, `${stem}.gguf`, `${stem}-back`]) {
      using model = await loadModel(place);
      logits.push(await rowLogits(model, goldenIds("demo", 24)));
    }
    const [expected = [], ...others] = logits;
    for (const found of others) {
      expected.forEach((row, i) => {
        row.forEach((logit, token) => {
          expect(found[i]?.[token]).toBeCloseTo(logit, 3);
        });
      });
    }
  });

  it("with Llama 3's rotation, biases and a head of its own too", async () => {
    await convertModel(TINY, at("tiny.gguf"), { type: "bf16" });
    const [there, here] = [await tensorsOf(at("tiny.gguf")), await tensorsOf(TINY)];
    expect(there).toEqual(here);
    await using checkpoint = await openCheckpoint(at("tiny.gguf"));
    expect((await checkpoint.config()).ropeScaling.kind).toBe("factors");
  });
});

describe("a vocabulary", () => {
  it("of SentencePiece's pairs gives the same ids there", () => {
    const json = sentencePieceJson();
    const roles = { bos_token: "<s>", eos_token: "</s>", unk_token: "<unk>" };
    const vocabulary = new Tokenizer(json).size;
    const fields = ggufTokenizerFields({ json, roles }, null, { vocabulary, eosIds: [2] }, "tokenizer.json");
    const bytes = ggufHeader(fields, []);
    const metadata = parseGgufHeader(bytes, { path: "x.gguf", size: bytes.length }).metadata;
    const [expected, found] = [new Tokenizer(json), ggufTokenizer(new GgufMetadata(metadata, "x.gguf"))];
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom("a", "b", "c", ".", " ", "é") })), (text) => {
        expect(found.encode(text)).toEqual(expected.encode(text));
      }),
      { numRuns: 500 },
    );
  });

  it("that GGUF files have no name for is refused, and nothing is left behind", async () => {
    await mkdir(at("odd"));
    for (const file of await readdir(DEMO)) await copyFile(join(DEMO, file), at("odd", file));
    const json = JSON.parse(await readFile(join(DEMO, "tokenizer.json"), "utf8")) as Record<string, unknown>;
    const odd = { ...json, pre_tokenizer: { type: "Whitespace" } };
    await writeFile(at("odd", "tokenizer.json"), JSON.stringify(odd));
    const failure = await failureOf(() => convertModel(at("odd"), at("odd.gguf")));
    expect(failure.message).toContain("GGUF files have no name for its pre_tokenizer");
    expect((await readdir(at())).filter((name) => name.startsWith("odd."))).toEqual([]);
  });
});

describe("what is made", () => {
  it("is whole or not there, and replaces nothing unasked", async () => {
    await writeFile(at("mine.gguf"), "mine");
    const taken = await failureOf(() => convertModel(DEMO, at("mine.gguf")));
    expect(taken.message).toBe(`${at("mine.gguf")} is there already; give another name, or --force to replace it`);
    expect(await readFile(at("mine.gguf"), "utf8")).toBe("mine");
    const controller = new AbortController();
    const onProgress = (done: number): void => {
      if (done === 9) controller.abort();
    };
    const aborted = await failureOf(() =>
      convertModel(DEMO, at("mine.gguf"), { force: true, onProgress, signal: controller.signal }),
    );
    expect(aborted.code).toBe("aborted");
    expect(await readFile(at("mine.gguf"), "utf8")).toBe("mine");
    expect((await readdir(at())).filter((name) => name.endsWith(".tmp"))).toEqual([]);
    await convertModel(DEMO, at("mine.gguf"), { force: true });
    await mkdir(at("folder"));
    expect((await failureOf(() => convertModel(DEMO, at("folder"), { force: true }))).message).toBe(
      `${at("folder")} is there already; give another name, or remove it`,
    );
    expect((await failureOf(() => convertModel(DEMO, at("none", "x.gguf")))).message).toContain(
      "no such file or directory",
    );
  });

  it("is refused where the format does not have it", async () => {
    expect((await failureOf(() => convertModel(DEMO, at("q"), { type: "q8_0" }))).message).toContain(
      "a directory in Hugging Face layout has no q8_0; expected f32, f16 or bf16, or a name that ends in .gguf",
    );
    expect((await failureOf(() => convertModel(DEMO, DEMO))).message).toContain("is what is converted");
    const scaling = { rope_scaling: { rope_type: "dynamic", factor: 2 } };
    const dir = await randomModel(at("dynamic"), { architectures: ["LlamaForCausalLM"], ...scaling });
    expect((await failureOf(() => convertModel(dir, at("dynamic.gguf")))).message).toContain(
      "has no place in a GGUF file",
    );
  });

  it("has another type where rows are not whole blocks, and says so", async () => {
    const notes: string[] = [];
    const dir = await randomModel(at("narrow"), { architectures: ["LlamaForCausalLM"] });
    await convertModel(dir, at("narrow.gguf"), { type: "q4_k", onNote: (line) => notes.push(line) });
    expect(notes[0]).toBe("model.embed_tokens.weight becomes q5_0: its rows of 64 are not whole blocks of q4_k");
    using model = await loadModel(at("narrow.gguf"));
    expect(await rowLogits(model, [0, 4, 290])).toHaveLength(3);
  });
});
