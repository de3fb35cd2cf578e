import { writeFile } from "node:fs/promises";

import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { failureOf } from "../files/testing/failure";
import { temporaryDirectory } from "../files/testing/temporary-directory";
import { parseGgufHeader } from "../files/gguf-header";
import { flag, floats, gguf, ints, text, texts, u32, type GgufField } from "../files/testing/write-gguf";
import { loadModel } from "../model";
import { chatParts, textPart } from "../prompt/parts";
import { DEMO, TINY } from "../testing/models";
import { Tokenizer } from "../tokenizer";
import { sentencePieceJson } from "../tokenizer/testing/sentence-piece";
import { openCheckpoint } from "./open-checkpoint";
import { ggufTokenizer } from "./gguf-tokenizer";
import { GgufMetadata } from "./gguf-metadata";
import { ggufOf, type GgufOptions } from "./testing/gguf-of";

const at = temporaryDirectory();
let count = 0;

/** A model's directory as a GGUF file; of several the first one's path. */
async function written(dir: string, options: GgufOptions = {}): Promise<string> {
  const parts = await ggufOf(dir, options);
  const stem = at(`model${count++}`);
  const of = String(parts.length).padStart(5, "0");
  const paths = parts.map((_, i) =>
    parts.length === 1 ? `${stem}.gguf` : `${stem}-${String(i + 1).padStart(5, "0")}-of-${of}.gguf`,
  );
  for (const [i, bytes] of parts.entries()) await writeFile(paths[i] ?? "", bytes);
  return paths[0] ?? "";
}

/** What a model answers: tokens with their log-probabilities, and what its cache kept. */
async function answerOf(place: string, policy: string): Promise<unknown> {
  using model = await loadModel(place);
  using session = model.createSession({ policy });
  const prompt =
    model.template === null
      ? [textPart(model.tokenizer, "Tom keeps the red key in the barn.", true)]
      : chatParts(model, [{ role: "user", content: "Tom keeps the red key in the barn. Where is it?" }]);
  const generation = session.generate(prompt, { temperature: 0, maxTokens: 8, ignoreEos: true, topTokens: 3 });
  const tokens = [];
  for await (const event of generation)
    if (event.kind === "token") tokens.push([event.id, event.logProbability, event.top]);
  const { kv } = await generation.report();
  return { tokens, kept: kv.kept, plan: kv.plan };
}

describe("a model as a GGUF file", () => {
  it.each([{ type: "F16" }, { type: "F32" }, { parts: 3 }] satisfies GgufOptions[])(
    "answers to the bit as its directory does: %o",
    async (options) => {
      // In f32, as files have it, it is not quite the number that the directory has.
      const change = { "llama.attention.layer_norm_rms_epsilon": { type: "float64", value: 1e-5 } } as const;
      const path = await written(DEMO, { ...options, change });
      for (const policy of ["full", "adaptive"]) {
        expect(await answerOf(path, policy), policy).toEqual(await answerOf(DEMO, policy));
      }
    },
  );

  it("has biases, a head of its own and Llama 3's rotation as its directory does", async () => {
    const path = await written(TINY);
    await using checkpoint = await openCheckpoint(path);
    expect(await checkpoint.config()).toMatchObject({
      qkvBias: true,
      outputBias: true,
      feedForwardBias: true,
      tiedHead: false,
      ropeScaling: { kind: "factors" },
    });
    // Rows of the embedding that no token has are none of the vocabulary's.
    await using dir = await openCheckpoint(TINY);
    expect((await checkpoint.tokenizer()).fingerprint).toBe((await dir.tokenizer()).fingerprint);
    const [found, expected] = [await answerOf(path, "full"), await answerOf(TINY, "full")];
    const rounded = (value: unknown): unknown =>
      JSON.parse(
        JSON.stringify(value, (_, part: unknown) => (typeof part === "number" ? Number(part.toFixed(4)) : part)),
      );
    expect(rounded(found)).toEqual(rounded(expected));
  });

  it("says everything that its directory says", async () => {
    await using file = await openCheckpoint(await written(DEMO));
    await using dir = await openCheckpoint(DEMO);
    const { normEpsilon, ...config } = await file.config();
    const { normEpsilon: epsilon, ...expected } = await dir.config();
    expect(config).toEqual(expected);
    expect(normEpsilon).toBeCloseTo(epsilon, 10);
    await using weights = await file.weights();
    await using others = await dir.weights();
    expect(new Set(weights.tensors.keys())).toEqual(new Set(others.tensors.keys()));
    const messages = [{ role: "user", content: "Hi" }] as const;
    expect((await file.template())?.render(messages)).toBe((await dir.template())?.render(messages));
    const [ours, theirs] = [await file.tokenizer(), await dir.tokenizer()];
    expect(ours.fingerprint).toBe(theirs.fingerprint);
    expect(ours.namedTokens).toMatchObject({ bos_token: "<s>", eos_token: "<|end|>" });
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: "binary" }), fc.string({ unit: "grapheme" }), words), (content) => {
        expect(ours.encode(content)).toEqual(theirs.encode(content));
      }),
      { numRuns: 1000 },
    );
  });

  it.each<[string, GgufOptions, string]>([
    [
      "of an unknown architecture",
      { change: { "general.architecture": text("mamba") } },
      'architecture "mamba" is not supported; supported: llama, qwen2',
    ],
    [
      "without layers",
      { change: { "llama.block_count": null } },
      "llama.block_count is missing; expected a whole number from 1",
    ],
    [
      "with another rotation",
      { change: { "llama.rope.scaling.type": text("mine") } },
      'llama.rope.scaling.type "mine" is not supported; supported: none, linear, yarn, longrope, and factors in',
    ],
    ["with experts", { change: { "llama.expert_count": u32(8) } }, "llama.expert_count 8 is not supported"],
    [
      "whose heads do not fit",
      { change: { "llama.attention.head_count_kv": u32(3) } },
      "8 query heads of size 32 on 3 KV heads; expected",
    ],
    [
      "with heads that differ",
      { change: { "llama.attention.head_count_kv": ints([4, 4, 2, 4]) } },
      "llama.attention.head_count_kv differs between layers, which is not supported",
    ],
    [
      "with a tokenizer of another kind",
      { change: { "tokenizer.ggml.model": text("bert") } },
      'a tokenizer of the kind "bert" is not supported; supported: gpt2, llama',
    ],
    [
      "with another pre-tokenizer",
      { change: { "tokenizer.ggml.pre": text("mine") } },
      'the pre-tokenizer "mine" is not supported; supported: gpt-2, smollm',
    ],
    [
      "with too few types of tokens",
      { change: { "tokenizer.ggml.token_type": ints([1]) } },
      "expected an array of 1296 numbers",
    ],
  ])("%s is refused in one line", async (_, options, message) => {
    const path = await written(DEMO, options);
    const failure = await failureOf(() => loadModel(path));
    expect(failure.message).toContain(`${path}: `);
    expect(failure.message).toContain(message);
    expect(failure.message).not.toContain("\n");
  });

  it("that is not there, or not whole, is refused in one line", async () => {
    expect((await failureOf(() => loadModel(at("none.gguf")))).message).toBe(
      `${at("none.gguf")}: no such file or directory`,
    );
    const [first = new Uint8Array(0)] = await ggufOf(DEMO, { parts: 2 });
    const alone = at("alone-00001-of-00002.gguf");
    await writeFile(alone, first);
    expect((await failureOf(() => loadModel(alone))).message).toBe(
      `${at("alone-00002-of-00002.gguf")}: no such file or directory`,
    );
    const renamed = at("renamed.gguf");
    await writeFile(renamed, first);
    expect((await failureOf(() => loadModel(renamed))).message).toContain(
      'whose name ends with "-00001-of-00002.gguf"',
    );
    const [whole = new Uint8Array(0)] = await ggufOf(DEMO);
    const cut = at("cut.gguf");
    await writeFile(cut, whole.subarray(0, whole.length - 5000));
    expect((await failureOf(() => loadModel(cut))).message).toContain("is the file cut short?");
  });
});

const words = fc
  .array(
    fc.constantFrom("Tom", "'s", " is ", "31", " 007", "\n\n", "  ", "é", "🙂", "<|end|>", "<s>", "\t", "don't", "_x"),
  )
  .map((parts) => parts.join(""));

describe("SentencePiece's vocabulary in a GGUF file", () => {
  const json = sentencePieceJson();
  const { vocab } = json.model as { readonly vocab: Readonly<Record<string, number>> };
  const tokens = Object.keys(vocab);
  const best = ["▁a", "▁ab", "ab", "▁."];
  const fields = {
    "tokenizer.ggml.model": text("llama"),
    "tokenizer.ggml.tokens": texts(tokens),
    "tokenizer.ggml.scores": floats(tokens.map((token) => (best.includes(token) ? -best.indexOf(token) : -100))),
    "tokenizer.ggml.token_type": ints(tokens.map((token, id) => (id < 3 ? 3 : token.startsWith("<0x") ? 6 : 1))),
    "tokenizer.ggml.bos_token_id": u32(1),
    "tokenizer.ggml.eos_token_id": u32(2),
    "tokenizer.ggml.unknown_token_id": u32(0),
  };

  it("gives the ids and the text that its tokenizer.json gives", () => {
    const expected = new Tokenizer(json);
    const found = ggufTokenizer(metadataOf(fields));
    const content = fc.oneof(
      fc.string(),
      fc.array(fc.constantFrom("a", "b", "c", ".", " ", "é")).map((parts) => parts.join("")),
    );
    fc.assert(
      fc.property(content, (content) => {
        expect(found.encode(content)).toEqual(expected.encode(content));
        expect(found.decode(found.encode(content))).toBe(expected.decode(expected.encode(content)));
      }),
      { numRuns: 500 },
    );
  });

  it("puts no space before a text, and no token, where the file says so", () => {
    const bare = metadataOf({
      ...fields,
      "tokenizer.ggml.add_space_prefix": flag(false),
      "tokenizer.ggml.add_bos_token": flag(false),
    });
    expect(ggufTokenizer(bare).encode("ab c")).toEqual([vocab.ab, vocab["▁"], vocab.c]);
  });
});

function metadataOf(fields: Readonly<Record<string, GgufField>>): GgufMetadata {
  const bytes = gguf(fields, []);
  return new GgufMetadata(parseGgufHeader(bytes, { path: "x.gguf", size: bytes.length }).metadata, "x.gguf");
}
