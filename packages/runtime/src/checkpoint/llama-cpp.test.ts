import { writeFile } from "node:fs/promises";

import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { temporaryDirectory } from "../files/testing/temporary-directory";
import { flag, float, floats, gguf, ints, text, texts, u32, type GgufField } from "../files/testing/write-gguf";
import { loadModel } from "../model";
import { openBackend, type BackendName } from "../open-backend";
import { expectSameLogits, logProbabilities, openLlamaCpp } from "../testing/llama-cpp";
import { DEMO, TINY } from "../testing/models";
import { goldenIds } from "../testing/prompts";
import { randomModel } from "../testing/random-model";
import { trainBytePairs } from "./testing/byte-pairs";
import { openCheckpoint } from "./open-checkpoint";
import { BLOCK_TYPES, type BlockType } from "./testing/random-blocks";
import { ggufOf, type GgufOptions } from "./testing/gguf-of";

const at = temporaryDirectory();

/** What people, programs and accidents write. */
const written = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: "grapheme" }),
  fc
    .array(
      fc.constantFrom(
        ..."Tom|'s|'S|'re| is |31|12345| 007|\n\n|  |\t|\r\n| \n|é|日本語| ø|🙂|👩‍👩‍👧|\u0301|¼|Ⅸ|x=1;|_x|don't|DON'T|A1b2| ...|!?\n|\u00a0|\u200b|\ufeff|\u0085|\u3000|\u1680|\ufeff're|²|٣|㊿".split(
          "|",
        ),
        "|",
        "<|end|>",
        "<s>",
        "<|user",
        // Halves of a character: as bytes they are no UTF-8.
        "\ud83d",
        "\udc69",
      ),
      { maxLength: 12 },
    )
    .map((parts) => parts.join("")),
);

async function expectSameIds(gguf: string, place = gguf): Promise<void> {
  await using checkpoint = await openCheckpoint(place);
  const ours = await checkpoint.tokenizer();
  const theirs = await openLlamaCpp(gguf, { vocabOnly: true });
  fc.assert(
    fc.property(written, (content) => {
      expect(ours.encode(content, { addSpecial: false })).toEqual(theirs.tokenize(content, true).map(Number));
    }),
    { numRuns: 2000 },
  );
  await theirs.dispose();
}

describe("tokens are llama.cpp's", () => {
  it.each(["gpt-2", "smollm", "llama-bpe", "qwen2", "deepseek-r1-qwen", "tekken"])(
    "behind the pre-tokenizer %s",
    async (pre) => {
      const { tokens, merges } = trainBytePairs(SAMPLE, 400);
      const path = at(`${pre}.gguf`);
      const fields = {
        ...ARCHITECTURE,
        "tokenizer.ggml.model": text("gpt2"),
        "tokenizer.ggml.pre": text(pre),
        "tokenizer.ggml.tokens": texts([...tokens, "<s>", "<|end|>"]),
        "tokenizer.ggml.token_type": ints([...tokens.map(() => 1), 3, 3]),
        "tokenizer.ggml.merges": texts(merges),
        "tokenizer.ggml.bos_token_id": u32(tokens.length),
        "tokenizer.ggml.eos_token_id": u32(tokens.length + 1),
        "tokenizer.ggml.add_bos_token": flag(false),
      };
      await writeFile(path, gguf(fields, []));
      await expectSameIds(path);
    },
  );

  it("of the demo model", async () => {
    const [file = new Uint8Array(0)] = await ggufOf(DEMO);
    await writeFile(at("demo.gguf"), file);
    await expectSameIds(at("demo.gguf"));
    await expectSameIds(at("demo.gguf"), DEMO);
  });

  it.each([true, false])("of SentencePiece's pairs, with a space before a text: %s", async (spaced) => {
    const path = at(`pieces-${spaced}.gguf`);
    await writeFile(path, gguf({ ...PIECES, "tokenizer.ggml.add_space_prefix": flag(spaced) }, []));
    await expectSameIds(path);
  });
});

/** Enough of a configuration for a file without weights. */
const ARCHITECTURE: Readonly<Record<string, GgufField>> = {
  "general.architecture": text("llama"),
  "llama.block_count": u32(1),
  "llama.context_length": u32(64),
  "llama.embedding_length": u32(32),
  "llama.feed_forward_length": u32(32),
  "llama.attention.head_count": u32(2),
  "llama.attention.layer_norm_rms_epsilon": float(1e-5),
};

/** What `written` is made of, often enough that pairs of all of it are merged. */
const SAMPLE = [
  "Tom's 31 12345  007\n\n don't DON'T we're WE'RE x=1;_x ... !?\n \t\r\n  A1b2 é ø 日本語 🙂 \u00a0 ¼ Ⅸ",
  "12 123 1234 's 'S 're  \n\n\n   \n I'll I'LL 31. 31, (31) e\u0301 Tom Tom's is is  Tom\n Tom 🙂🙂 日本 ...!? x=12;",
]
  .join(" ")
  .repeat(3);

/** A vocabulary as SentencePiece trains them, of pieces that overlap; the file has no weights. */
const PIECES: Readonly<Record<string, GgufField>> = (() => {
  const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
  const pieces = [
    "▁",
    "T",
    "o",
    "m",
    "om",
    "▁T",
    "▁Tom",
    "Tom",
    "s",
    "'",
    "'s",
    "1",
    "3",
    "31",
    "▁▁",
    "▁▁▁",
    "e",
    "r",
    "re",
    "is",
    "▁is",
    "i",
    "n",
    "\n",
  ];
  const tokens = ["<unk>", "<s>", "</s>", ...bytes, ...pieces];
  return {
    ...ARCHITECTURE,
    "tokenizer.ggml.model": text("llama"),
    "tokenizer.ggml.tokens": texts(tokens),
    "tokenizer.ggml.scores": floats(tokens.map((_, id) => (id < 259 ? 0 : 259 - id))),
    "tokenizer.ggml.token_type": ints(tokens.map((_, id) => (id === 0 ? 2 : id < 3 ? 3 : id < 259 ? 6 : 1))),
    "tokenizer.ggml.bos_token_id": u32(1),
    "tokenizer.ggml.eos_token_id": u32(2),
    "tokenizer.ggml.unknown_token_id": u32(0),
  };
})();

/** What llama.cpp thinks of the same tokens as Winnow does, on each backend and from each place that has the model. */
async function expectAgreement(
  place: string | readonly [gguf: string, ...others: string[]],
  ids: readonly number[],
  tolerance?: number,
  contextSize?: number,
): Promise<void> {
  const places = typeof place === "string" ? [place] : place;
  const theirs = await openLlamaCpp(places[0]);
  const expected = await logProbabilities(theirs, ids, contextSize);
  await theirs.dispose();
  const backends: readonly BackendName[] = process.env.WINNOW_NO_GPU === undefined ? ["cpu", "webgpu"] : ["cpu"];
  for (const at of places) {
    for (const name of backends) {
      using model = await loadModel(at, { backend: await openBackend(name), context: contextSize });
      await expectSameLogits(model, expected, ids, tolerance);
    }
  }
}

describe("logits are llama.cpp's", () => {
  it.each<[string, string, GgufOptions]>([
    ["of the demo model in F16", DEMO, {}],
    ["of the demo model in F32", DEMO, { type: "F32" }],
    ["of random weights in BF16, with biases and Llama 3's rotation", TINY, {}],
  ])("%s", async (name, dir, options) => {
    const [file = new Uint8Array(0)] = await ggufOf(dir, options);
    const path = at(`${name.replaceAll(/\W/g, "-")}.gguf`);
    await writeFile(path, file);
    await expectAgreement(path, goldenIds(dir === DEMO ? "demo" : "tiny", 64));
  });

  it.each(BLOCK_TYPES)("of random weights in %s", async (type) => {
    const [file = new Uint8Array(0)] = await ggufOf(DEMO, { blocks: () => type });
    const path = at(`${type}.gguf`);
    await writeFile(path, file);
    // Of K types it rounds 256 activations by one scale, and the CPU backend 32: neither knows the other's rounding.
    const tolerance = type.startsWith("Q4") || type.endsWith("_K") ? 0.05 : 0.02;
    await expectAgreement(path, goldenIds("demo", 64), tolerance);
  });

  it.each<[string, (name: string) => BlockType | null]>([
    ["of values in Q6_K, the rest in Q4_K", (name) => (name.includes("v_proj") ? "Q6_K" : "Q4_K")],
    [
      "of keys in Q8_0, queries in Q5_0, values in F16",
      (name) => (name.includes("v_proj") ? null : name.includes("q_proj") ? "Q5_0" : "Q8_0"),
    ],
    ["of gates in Q4_0 and what they let pass in Q8_0", (name) => (name.includes("gate_proj") ? "Q4_0" : "Q8_0")],
  ])("%s", async (name, blocks) => {
    const [file = new Uint8Array(0)] = await ggufOf(DEMO, { blocks });
    const path = at(`${name.replaceAll(/\W/g, "-")}.gguf`);
    await writeFile(path, file);
    await expectAgreement(path, goldenIds("demo", 64), 0.05);
  });

  const yarn = { rope_type: "yarn", factor: 4, original_max_position_embeddings: 64 };
  const longrope = {
    rope_type: "longrope",
    short_factor: Array.from({ length: 8 }, (_, i) => 1 + i / 16),
    long_factor: Array.from({ length: 8 }, (_, i) => 1 + i),
    original_max_position_embeddings: 256,
  };

  // llama.cpp has heads of these families as wide as they share the width.
  const qwen2 = { architectures: ["Qwen2ForCausalLM"], head_dim: 16 };
  const phi3 = { architectures: ["Phi3ForCausalLM"], head_dim: 16 };

  it.each<[string, Readonly<Record<string, unknown>>, number?]>([
    ["Llama with YaRN", { architectures: ["LlamaForCausalLM"], max_position_embeddings: 64, rope_scaling: yarn }],
    ["Qwen2", qwen2],
    ["Qwen2, its rotation scaled", { ...qwen2, rope_scaling: { type: "linear", factor: 2 } }],
    ["Qwen3", { architectures: ["Qwen3ForCausalLM"] }],
    ["Phi-3", phi3],
    ["Phi-3 within its original context", { ...phi3, max_position_embeddings: 1024, rope_scaling: longrope }, 256],
    ["Phi-3 beyond its original context", { ...phi3, max_position_embeddings: 1024, rope_scaling: longrope }, 512],
    ["Gemma 2", { architectures: ["Gemma2ForCausalLM"], sliding_window: 17 }],
    ["Gemma 3", { architectures: ["Gemma3ForCausalLM"], num_hidden_layers: 6, rope_theta: 1e6, sliding_window: 17 }],
    ["SmolLM3", { architectures: ["SmolLM3ForCausalLM"] }],
  ])("of %s", async (name, fields, contextSize) => {
    const dir = await randomModel(at(name.replaceAll(/\W/g, "-")), fields);
    const [file = new Uint8Array(0)] = await ggufOf(dir);
    const path = `${dir}.gguf`;
    await writeFile(path, file);
    await expectAgreement([path, dir], goldenIds("demo", 64), undefined, contextSize);
  });

  // Norms after a branch make what rounding does to it as large as the branch: of more values less is left.
  const wide = { hidden_size: 256, intermediate_size: 512 };

  it.each<[string, Readonly<Record<string, unknown>>]>([
    ["Qwen2", qwen2],
    ["Qwen3", { architectures: ["Qwen3ForCausalLM"] }],
    ["Phi-3", phi3],
    ["Gemma 2", { ...wide, architectures: ["Gemma2ForCausalLM"], sliding_window: 17 }],
    ["Gemma 3", { ...wide, architectures: ["Gemma3ForCausalLM"], num_hidden_layers: 6, sliding_window: 17 }],
    ["SmolLM3", { architectures: ["SmolLM3ForCausalLM"] }],
  ])("of %s in quantised types", async (name, fields) => {
    const dir = await randomModel(at(`${name.replaceAll(/\W/g, "-")}-quantised`), fields);
    const blocks = (tensor: string): BlockType => (/down_proj|embed/.test(tensor) ? "Q8_0" : "Q5_1");
    const [file = new Uint8Array(0)] = await ggufOf(dir, { blocks });
    const path = `${dir}.gguf`;
    await writeFile(path, file);
    await expectAgreement(path, goldenIds("demo", 64), 0.03);
  });
});
