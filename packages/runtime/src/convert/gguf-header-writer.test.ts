import { expect, it } from "vitest";

import { parseGgufHeader } from "../files/gguf-header";
import { ggufHeader, ggufPadding, type GgufFieldValue } from "./gguf-header-writer";

it("says what the reader reads, with as many tokens as large vocabularies have", () => {
  const tokens = Array.from({ length: 300_000 }, (_, id) => `token ${id} é`);
  const fields = new Map<string, GgufFieldValue>([
    ["a.text", { type: "string", value: "x 🙂" }],
    ["a.whole", { type: "uint32", value: 2 ** 32 - 1 }],
    ["a.number", { type: "float32", value: 0.5 }],
    ["a.flag", { type: "bool", value: true }],
    ["tokenizer.ggml.tokens", { type: "strings", value: tokens }],
    ["tokenizer.ggml.token_type", { type: "int32s", value: tokens.map((_, id) => id % 7) }],
    ["tokenizer.ggml.scores", { type: "float32s", value: tokens.map((_, id) => -id) }],
  ]);
  const tensors = [
    { name: "a.weight", typeId: 0, shape: [3, 5], bytes: 60 },
    { name: "b.weight", typeId: 8, shape: [2, 32], bytes: 68 },
  ];
  const header = ggufHeader(fields, tensors);
  const size = header.length + tensors.reduce((sum, { bytes }) => sum + bytes + ggufPadding(bytes), 0);
  const found = parseGgufHeader(header, { path: "x.gguf", size });
  expect(found.metadata.get("a.text")).toBe("x 🙂");
  expect(found.metadata.get("a.whole")).toBe(2 ** 32 - 1);
  expect(found.metadata.get("a.number")).toBe(0.5);
  expect(found.metadata.get("a.flag")).toBe(true);
  expect(found.metadata.get("tokenizer.ggml.tokens")).toEqual(tokens);
  expect(found.metadata.get("tokenizer.ggml.scores")).toEqual(Float32Array.from(tokens, (_, id) => -id));
  expect(found.tensors.get("a.weight")).toMatchObject({ shape: [3, 5], bytes: 60, offset: header.length });
  expect(found.tensors.get("b.weight")).toMatchObject({ shape: [2, 32], bytes: 68, offset: header.length + 64 });
});
