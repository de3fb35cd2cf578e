import { WinnowError } from "@winnow/core-tensor";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { OutOfBytes, parseGgufHeader, type GgufHeader, type GgufValue } from "./gguf-header";
import {
  float,
  floats,
  gguf,
  ints,
  text,
  texts,
  u32,
  type GgufField,
  type GgufTensorToWrite,
} from "./testing/write-gguf";

const parse = (bytes: Uint8Array, size = bytes.length): GgufHeader => parseGgufHeader(bytes, { path: "x.gguf", size });

function messageOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof WinnowError) return error.message;
    throw error;
  }
  return "nothing was thrown";
}

const scalar: fc.Arbitrary<GgufField> = fc.oneof(
  fc.integer({ min: 0, max: 255 }).map((value) => ({ type: "uint8", value }) as const),
  fc.integer({ min: -128, max: 127 }).map((value) => ({ type: "int8", value }) as const),
  fc.integer({ min: 0, max: 65535 }).map((value) => ({ type: "uint16", value }) as const),
  fc.integer({ min: -32768, max: 32767 }).map((value) => ({ type: "int16", value }) as const),
  fc.integer({ min: 0, max: 2 ** 32 - 1 }).map(u32),
  fc.integer().map((value) => ({ type: "int32", value }) as const),
  fc.float({ noNaN: true }).map(float),
  fc.double({ noNaN: true }).map((value) => ({ type: "float64", value }) as const),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((value) => ({ type: "uint64", value }) as const),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((value) => ({ type: "int64", value }) as const),
  fc.boolean().map((value) => ({ type: "bool", value }) as const),
  fc.string({ unit: "grapheme" }).map(text),
);
const field: fc.Arbitrary<GgufField> = fc.oneof(
  scalar,
  fc.array(fc.string({ unit: "grapheme" }), { maxLength: 5 }).map(texts),
  fc.array(fc.integer(), { maxLength: 5 }).map(ints),
  fc.array(fc.float({ noNaN: true }), { maxLength: 5 }).map(floats),
  fc
    .array(fc.integer(), { maxLength: 3 })
    .map((row) => ({ type: "array", of: "array", value: [ints(row), ints(row)] }) as const),
);
const tensor: fc.Arbitrary<GgufTensorToWrite> = fc
  .record({
    name: fc.string({ minLength: 1 }),
    type: fc.constantFrom("F32" as const, "F16" as const, "BF16" as const, "Q8_0" as const),
    rows: fc.integer({ min: 1, max: 3 }),
    columns: fc.integer({ min: 1, max: 3 }),
  })
  .map(({ name, type, rows, columns }) => {
    const bytes = { F32: 4, F16: 2, BF16: 2, Q8_0: 34 }[type];
    const shape = type === "Q8_0" ? [rows, 32 * columns] : [rows, columns];
    return { name, type, shape, data: new Uint8Array(rows * columns * bytes) };
  });
const file = fc.record({
  fields: fc.dictionary(fc.string(), field, { maxKeys: 6 }).map((fields) => ({ ...fields })),
  tensors: fc.uniqueArray(tensor, { selector: ({ name }) => name, maxLength: 4 }),
  version: fc.constantFrom(2, 3),
});

/** What a field should be read as. */
function valueOf(field: GgufField): GgufValue {
  if (field.type === "array") {
    const values = field.value.map(valueOf);
    if (field.of === "int32") return Int32Array.from(values, Number);
    return field.of === "float32" ? Float32Array.from(values, Number) : values;
  }
  if (typeof field.value !== "bigint") return field.value;
  const number = Number(field.value);
  return Number.isSafeInteger(number) ? number : field.value;
}

describe("a GGUF header", () => {
  it("is read as it was written", () => {
    fc.assert(
      fc.property(file, ({ fields, tensors, version }) => {
        const bytes = gguf(fields, tensors, { version });
        const header = parse(bytes);
        expect(header.metadata).toEqual(new Map(Object.entries(fields).map(([key, value]) => [key, valueOf(value)])));
        expect([...header.tensors.keys()]).toEqual(tensors.map(({ name }) => name));
        for (const { name, type, shape, data } of tensors) {
          const found = header.tensors.get(name);
          expect(found).toMatchObject({ shape, bytes: data.length, type: { name: type } });
          expect((found?.offset ?? 1) % 32).toBe(0);
        }
      }),
    );
  });

  it("asks for more bytes wherever it is broken off, and says where the file ends amid it", () => {
    fc.assert(
      fc.property(file, fc.nat(), ({ fields, tensors, version }, cut) => {
        const bytes = gguf(fields, tensors, { version });
        const end = bytes.length - tensors.reduce((sum, { data }) => sum + Math.ceil(data.length / 32) * 32, 0);
        const first = bytes.subarray(0, Math.min(24 + (cut % Math.max(1, end - 24 - 32)), end));
        try {
          parse(first, bytes.length);
        } catch (error) {
          expect(error).toBeInstanceOf(OutOfBytes);
        }
        const [last] = tensors.slice(-1);
        const dataEnd = bytes.length - (last === undefined ? 0 : (32 - (last.data.length % 32)) % 32);
        if (tensors.length > 0) expect(messageOf(() => parse(bytes.subarray(0, cut % dataEnd)))).toContain("x.gguf");
      }),
    );
  });

  it("that is damaged ends in one line, or is read as something else", () => {
    const fields = {
      "general.architecture": text("llama"),
      "decoder.block_count": u32(4),
      "tokenizer.ggml.tokens": texts(["a", "bc", "<s>"]),
      "tokenizer.ggml.scores": floats([1, 2, 3]),
    };
    const whole = gguf(fields, [
      { name: "token_embd.weight", type: "F16", shape: [3, 4], data: new Uint8Array(24) },
      { name: "output_norm.weight", type: "F32", shape: [4], data: new Uint8Array(16) },
    ]);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        (flips) => {
          const bytes = Uint8Array.from(whole);
          for (const [at, value] of flips) bytes[at] = value;
          try {
            parse(bytes);
          } catch (error) {
            expect(error).toBeInstanceOf(WinnowError);
            expect((error as WinnowError).message).toMatch(/^x\.gguf: [^\n]{10,700}$/);
          }
        },
      ),
      { numRuns: 3000 },
    );
  });

  it.each([
    ["is no such file", Buffer.from("GGML".padEnd(64)), 'x.gguf: not a GGUF file; expected it to begin with "GGUF"'],
    ["is empty", new Uint8Array(0), 'x.gguf: not a GGUF file; expected it to begin with "GGUF"'],
    [
      "is of version 1",
      gguf({}, [], { version: 1 }),
      "x.gguf: GGUF header: version 1 is not supported; expected 2 or 3",
    ],
    [
      "is big-endian",
      gguf({}, [], { version: 0x03000000 }),
      "x.gguf: GGUF header: version 50331648 (it is big-endian) is not supported; expected 2 or 3",
    ],
  ])("%s", (_, bytes, message) => {
    expect(messageOf(() => parse(bytes))).toBe(message);
  });

  it("believes no length that the file has no room for", () => {
    const huge = gguf({ a: texts([]) }, []);
    // The array's length is the file's last eight bytes before the padding.
    const at = 24 + 8 + 1 + 4 + 4;
    new DataView(huge.buffer, huge.byteOffset).setBigUint64(at, 2n ** 62n, true);
    expect(messageOf(() => parse(huge))).toMatch(
      /it announces 4611686018427387904 values for the key "a", and the file has \d+ bytes left/,
    );
  });
});
