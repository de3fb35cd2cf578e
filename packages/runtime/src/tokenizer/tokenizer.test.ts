import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { Tokenizer as TokenizerLibrary } from "@huggingface/tokenizers";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { z } from "zod";

import { failureOf } from "../files/testing/failure";
import { checkTokenizerFits, loadTokenizer } from "./load-tokenizer";
import { sentencePieceJson } from "./testing/sentence-piece";
import { Tokenizer } from "./tokenizer";

const root = (path: string): string => fileURLToPath(new URL(`../../../../${path}`, import.meta.url));
const readJson = (path: string): unknown => JSON.parse(readFileSync(root(path), "utf8"));
const goldens = z
  .array(z.object({ text: z.string(), ids: z.array(z.int()) }))
  .parse(readJson("goldens/tokenizer-ids.json"));

const demo = await loadTokenizer(root("models/demo"));
const llama2 = new Tokenizer(sentencePieceJson(), { bos_token: { content: "<s>" }, eos_token: "</s>" });
const ascii = (text: string): number[] => [...new TextEncoder().encode(text)];

describe("the demo model's tokenizer", () => {
  it("encodes as an independent implementation does", () => {
    expect(goldens.length).toBeGreaterThan(100);
    for (const { text, ids } of goldens) expect(demo.encode(text), JSON.stringify(text)).toEqual(ids);
  });

  it("decodes what it encoded", () => {
    for (const { text, ids } of goldens) expect(demo.decode(ids, { skipSpecial: false })).toBe(text);
  });

  it("knows its special tokens", () => {
    expect(demo.size).toBe(1296);
    expect([...demo.specialIds]).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(demo.namedTokens).toEqual({ bos_token: "<s>", eos_token: "<|end|>", pad_token: "<pad>" });
    expect(demo.idOf("<|end|>")).toBe(6);
    expect(demo.idOf("<|nobody|>")).toBeUndefined();
    expect(demo.decode([0, ...demo.encode("Hello"), 6])).toBe("Hello");
  });

  it("gives the bytes of every token, which spell the text", () => {
    const vocabulary = demo.vocabulary();
    expect(vocabulary).toHaveLength(1296);
    expect(vocabulary[4]).toEqual({ bytes: new TextEncoder().encode("<|user|>"), special: true });
    // Each of the 256 bytes is a token of its own.
    const single = vocabulary
      .filter(({ bytes, special }) => !special && bytes.length === 1)
      .map(({ bytes }) => bytes[0]);
    expect(new Set(single).size).toBe(256);
    const text = "Grüße, 世界 😀";
    expect(demo.encode(text).flatMap((id) => [...(vocabulary[id]?.bytes ?? [])])).toEqual([
      ...new TextEncoder().encode(text),
    ]);
  });

  it("lets ids beyond the vocabulary stand for nothing, and refuses what is no id", async () => {
    expect(demo.decode([1296, 5000])).toBe("");
    expect((await failureOf(() => demo.decode([-1]))).message).toBe(
      "token id -1; expected a whole number of at least 0",
    );
    expect((await failureOf(() => demo.decode([0.5]))).code).toBe("tokenizer");
  });

  it("has to fit the model", async () => {
    checkTokenizerFits(demo, { vocabulary: 1296 });
    checkTokenizerFits(demo, { vocabulary: 1536 });
    const error = await failureOf(() => {
      checkTokenizerFits(demo, { vocabulary: 1295 });
    });
    expect(error.code).toBe("tokenizer");
    expect(error.message).toMatch(/ids up to 1295 and the model embeds 1295/);
  });
});

describe("a stream of tokens", () => {
  const library = new TokenizerLibrary(z.looseObject({}).parse(readJson("models/demo/tokenizer.json")), {});
  // Random ids are mostly whole words; byte tokens (7 to 262) are where characters come apart.
  const ids = fc.array(fc.oneof(fc.integer({ min: 0, max: 1295 }), fc.integer({ min: 7, max: 262 })), {
    minLength: 1,
    maxLength: 60,
  });

  it.each([true, false])("adds up to the library's text of all of them, skipSpecial %s", (skipSpecial) => {
    fc.assert(
      fc.property(ids, (sequence) => {
        const stream = demo.stream({ skipSpecial });
        const streamed = sequence.map((id) => stream.push(id)).join("") + stream.flush();
        expect(streamed).toBe(demo.decode(sequence, { skipSpecial }));
        expect(streamed).toBe(
          library.decode(sequence, { skip_special_tokens: skipSpecial, clean_up_tokenization_spaces: false }),
        );
      }),
      { numRuns: 500 },
    );
  });

  it("never hands out half a character of a text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 30 }), (text) => {
        const stream = demo.stream();
        // Byte by byte, the worst that a tokenizer can do.
        const deltas = ascii(text).map((byte) => stream.push(byteToken(byte)));
        expect(stream.flush()).toBe("");
        expect(deltas.filter((delta) => delta !== "")).toEqual(Array.from(text));
      }),
    );
  });

  it("says what never became whole, and starts anew", () => {
    const [first, second] = ascii("é");
    const stream = demo.stream();
    expect(stream.push(byteToken(first ?? 0))).toBe("");
    expect(stream.flush()).toBe("\uFFFD");
    expect(stream.push(byteToken(second ?? 0)) + stream.flush()).toBe("\uFFFD");
    expect(stream.push(byteToken(0x41))).toBe("A");
  });

  function byteToken(byte: number): number {
    return demo.vocabulary().findIndex(({ bytes, special }) => !special && bytes.length === 1 && bytes[0] === byte);
  }
});

describe("a tokenizer in the manner of SentencePiece", () => {
  const bytes = (id: number): number[] => [...(llama2.vocabulary()[id]?.bytes ?? [])];

  it("spells spaces as ▁ and lone bytes as <0xNN>", () => {
    expect(bytes(3 + 0x0a)).toEqual([0x0a]);
    expect(bytes(llama2.idOf("▁ab") ?? -1)).toEqual(ascii(" ab"));
    expect(llama2.vocabulary()[1]).toEqual({ bytes: Uint8Array.from(ascii("<s>")), special: true });
    expect(llama2.namedTokens).toEqual({ bos_token: "<s>", eos_token: "</s>" });
  });

  it("adds <s> where asked, and takes its own space away again", () => {
    const ids = llama2.encode("ab a.é");
    expect(ids[0]).toBe(1);
    expect(llama2.encode("ab a.é", { addSpecial: false })).toEqual(ids.slice(1));
    expect(llama2.decode(ids)).toBe("ab a.é");
    expect(llama2.decode(llama2.encode("  a"))).toBe("  a");
  });

  it("streams as the library decodes", () => {
    const library = new TokenizerLibrary(sentencePieceJson(), {});
    // The library decodes each run of byte tokens by itself; lone continuation bytes read the same either way.
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 3, max: llama2.size - 1 }), { minLength: 1, maxLength: 40 }),
        (sequence) => {
          const stream = llama2.stream();
          const streamed = sequence.map((id) => stream.push(id)).join("") + stream.flush();
          expect(streamed).toBe(library.decode(sequence, { clean_up_tokenization_spaces: false }));
          expect(streamed).toBe(llama2.decode(sequence));
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe("the fingerprint", () => {
  it("is the same for the same tokenizer and differs with any token or merge", () => {
    const original = sentencePieceJson();
    const of = (json: unknown): string => new Tokenizer(json).fingerprint;
    const changed = (change: (text: string) => string): unknown => JSON.parse(change(JSON.stringify(original)));
    expect(of(original)).toMatch(/^[0-9a-f]{16}$/);
    expect(of(changed((text) => text))).toBe(of(original));
    const others = [
      changed((text) => text.replace('"c":', '"d":')),
      changed((text) => text.replace('"a b","▁ ."', '"▁ .","a b"')),
      changed((text) => text.replace('"content":"</s>","special":true', '"content":"</s>","special":false')),
    ].map(of);
    expect(new Set([of(original), ...others]).size).toBe(4);
  });

  it("stays what it was: saved plans name it", async () => {
    expect((await loadTokenizer(root("goldens/tiny-model"))).fingerprint).toBe("ae6f2aaf00c1628a");
  });
});

describe("what is wrong with a tokenizer is said in one line", () => {
  const base = sentencePieceJson();
  const model = z.record(z.string(), z.unknown()).parse(base.model);

  it.each<[string, unknown, string, RegExp]>([
    ["not an object", [], "file", /tokenizer\.json: .*expected object/],
    ["no model", { ...base, model: undefined }, "file", /"model"/],
    [
      "another model",
      { ...base, model: { type: "WordPiece", vocab: {} } },
      "tokenizer",
      /model type "WordPiece" is not supported; supported: BPE, Unigram/,
    ],
    [
      "another decoder",
      { ...base, decoder: { type: "WordPiece", prefix: "##" } },
      "tokenizer",
      /decoder WordPiece is not supported/,
    ],
    ["no decoder", { ...base, decoder: null }, "tokenizer", /decoder null is not supported/],
    ["a decoder that is no object", { ...base, decoder: 7 }, "tokenizer", /decoder is malformed/],
    ["no vocabulary", { ...base, model: { ...model, vocab: null } }, "tokenizer", /model\.vocab is malformed/],
    [
      "an empty vocabulary",
      { ...base, added_tokens: [], model: { ...model, vocab: {}, merges: [] } },
      "tokenizer",
      /the vocabulary is empty/,
    ],
    [
      "an id beyond reason",
      { ...base, model: { ...model, vocab: { a: 2 ** 31 } } },
      "tokenizer",
      /token "a" has id 2147483648; expected a whole number below 1048576/,
    ],
    ["a negative id", { ...base, model: { ...model, vocab: { a: -1 } } }, "tokenizer", /token "a" has id -1/],
    ["an id that is no number", { ...base, model: { ...model, vocab: { a: "1" } } }, "tokenizer", /token "a" has id 1/],
    [
      "an id twice",
      { ...base, model: { ...model, vocab: { a: 1, b: 1 } } },
      "tokenizer",
      /token "b" has id 1, which another token has already/,
    ],
    [
      "merges that are none",
      { ...base, model: { ...model, merges: null } },
      "tokenizer",
      /the tokenizer is malformed or of an unknown kind/,
    ],
    ["an unknown part", { ...base, pre_tokenizer: { type: "Oracle" } }, "tokenizer", /malformed or of an unknown kind/],
    ["added tokens without text", { ...base, added_tokens: [{ id: 1 }] }, "file", /"added_tokens\.0\.content"/],
  ])("%s", async (_, json, code, message) => {
    const error = await failureOf(() => new Tokenizer(json));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });

  it("a text with a character that it has no token for", async () => {
    const strict = { ...base, model: { ...model, byte_fallback: false, unk_token: "<nothing>" } };
    const error = await failureOf(() => new Tokenizer(strict).encode("aé"));
    expect(error.code).toBe("tokenizer");
    expect(error.message).toMatch(/no token for "<nothing>", and none for the unknown/);
  });

  it("a directory without one", async () => {
    expect((await failureOf(() => loadTokenizer(root("goldens")))).message).toMatch(/tokenizer\.json: no such file/);
    expect((await failureOf(() => loadTokenizer(root("nowhere")))).message).toMatch(
      /nowhere: no such file or directory/,
    );
  });
});
