import { mkdir, open, truncate, writeFile } from "node:fs/promises";

import type { WinnowError } from "@winnow/core-tensor";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { openSafetensors } from "./safetensors";
import { failureOf } from "./testing/failure";
import { temporaryDirectory } from "./testing/temporary-directory";
import { assemble, f32, halves, headerOf, safetensors, writeSafetensors } from "./testing/write-safetensors";

const at = temporaryDirectory();

const failure = (path: string): Promise<WinnowError> => failureOf(() => openSafetensors(path));

async function failureOfBytes(name: string, bytes: Uint8Array): Promise<WinnowError> {
  await writeFile(at(name), bytes);
  return failure(at(name));
}

describe("a well-formed file", () => {
  it("gives back what was written, in its own type, at any alignment", async () => {
    // An odd count of halves puts the F32 that follows at 2 mod 4 in the file.
    await writeSafetensors(at("mixed"), [
      halves("half", "F16", [3], [0x3c00, 0xc000, 0x7bff]),
      f32("wide", [2, 2], [1, -2.5, 3e-30, Infinity]),
      halves("brain", "BF16", [1, 1], [0x4049]),
      f32("none", [0, 7], []),
      f32("scalar", [], [42]),
    ]);
    await using file = await openSafetensors(at("mixed"));
    expect([...file.tensors.keys()]).toEqual(["half", "wide", "brain", "none", "scalar"]);
    expect(file.tensors.get("wide")).toMatchObject({ dtype: "f32", shape: [2, 2], bytes: 16 });
    expect(await file.read("half")).toEqual({ dtype: "f16", shape: [3], data: Uint16Array.of(0x3c00, 0xc000, 0x7bff) });
    expect(await file.read("wide")).toEqual({
      dtype: "f32",
      shape: [2, 2],
      data: Float32Array.of(1, -2.5, 3e-30, Infinity),
    });
    expect(await file.read("brain")).toEqual({ dtype: "bf16", shape: [1, 1], data: Uint16Array.of(0x4049) });
    expect((await file.read("none")).data).toHaveLength(0);
    expect((await file.read("scalar")).data).toEqual(Float32Array.of(42));
    expect(file.has("half")).toBe(true);
    expect(file.has("__metadata__")).toBe(false);
  });

  it("round-trips generated tensors", async () => {
    const tensors = fc.uniqueArray(
      fc.record({
        name: fc
          .string({ unit: "binary", minLength: 1 })
          .filter((name) => name !== "__metadata__" && name !== "__proto__"),
        dtype: fc.constantFrom("F16" as const, "BF16" as const),
        patterns: fc.array(fc.nat(0xffff), { maxLength: 40 }),
      }),
      { selector: ({ name }) => name, maxLength: 8 },
    );
    await fc.assert(
      fc.asyncProperty(tensors, async (specs) => {
        const written = specs.map(({ name, dtype, patterns }) => halves(name, dtype, [patterns.length], patterns));
        const header = Buffer.from(JSON.stringify(headerOf(written)));
        await writeFile(at("generated"), assemble(header, Buffer.concat(written.map(({ data }) => data))));
        await using file = await openSafetensors(at("generated"));
        expect(file.tensors.size).toBe(written.length);
        for (const { name, dtype, data } of written) {
          const read = await file.read(name);
          expect(read.dtype).toBe(dtype.toLowerCase());
          expect(Buffer.from(read.data.buffer).equals(data)).toBe(true);
        }
      }),
      { numRuns: 60 },
    );
  });

  it("reads beyond 4 GiB without reading what lies before", async () => {
    // The file has a hole: it takes no room.
    const huge = 2 ** 32 + 2 ** 21;
    const header = JSON.stringify({
      huge: { dtype: "F16", shape: [huge / 2], data_offsets: [0, huge] },
      small: { dtype: "F32", shape: [2], data_offsets: [huge, huge + 8] },
    });
    const bytes = assemble(header, new Uint8Array(0));
    const before = process.memoryUsage().arrayBuffers;
    const handle = await open(at("sparse"), "w");
    await handle.write(bytes);
    await handle.write(new Uint8Array(Float32Array.of(7, -9).buffer), 0, 8, bytes.length + huge);
    await handle.close();
    await using file = await openSafetensors(at("sparse"));
    expect(file.tensors.get("huge")?.bytes).toBe(huge);
    expect((await file.read("small")).data).toEqual(Float32Array.of(7, -9));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 20);
  });

  it("hands each tensor its own memory, of its own size", async () => {
    await writeSafetensors(at("owned"), [f32("a", [2], [1, 2]), f32("b", [2], [3, 4])]);
    await using file = await openSafetensors(at("owned"));
    const first = await file.read("a");
    const again = await file.read("a");
    expect(first.data.buffer.byteLength).toBe(8);
    first.data.fill(0);
    expect(again.data).toEqual(Float32Array.of(1, 2));
  });

  it("says which tensor is not there, and that a closed file is closed", async () => {
    await writeSafetensors(at("closing"), [f32("a", [1], [1])]);
    const file = await openSafetensors(at("closing"));
    await expect(file.read("b")).rejects.toMatchObject({
      code: "file",
      message: `${at("closing")}: no tensor "b" among the 1 in the file`,
    });
    await file.close();
    await file.close();
    await expect(file.read("a")).rejects.toMatchObject({ code: "disposed" });
  });

  it("notices that the file has shrunk since it was opened", async () => {
    await writeSafetensors(at("shrinking"), [f32("a", [4], [1, 2, 3, 4])]);
    await using file = await openSafetensors(at("shrinking"));
    await truncate(at("shrinking"), 20);
    const error = await failureOf(() => file.read("a"));
    expect(error.code).toBe("file");
    expect(error.message).toContain("shrunk");
  });
});

describe("what is wrong is said in one line", () => {
  const good = [f32("a", [2, 2], [1, 2, 3, 4]), f32("b", [2], [5, 6])];
  const data = new Uint8Array(24);
  const withEntry = (entry: unknown): Uint8Array => assemble(JSON.stringify({ ...headerOf(good), b: entry }), data);

  it.each([
    ["a missing file", async () => failure(at("nowhere")), /nowhere: no such file/],
    [
      "a directory",
      async () => {
        await mkdir(at("folder"));
        return failure(at("folder"));
      },
      /folder: is a directory, expected a file/,
    ],
    [
      "a path through a file",
      async () => (await failureOfBytes("plain", data), failure(at("plain", "x"))),
      /not a directory/,
    ],
    ["an empty file", () => failureOfBytes("empty", new Uint8Array(0)), /0 bytes is too short for a safetensors file/],
    [
      "a header longer than the file",
      () => failureOfBytes("long", assemble("{}", data, 99n)),
      /header length is 99, expected at most 32, the rest of the file/,
    ],
    [
      "a header length beyond numbers",
      () => failureOfBytes("u64", assemble("{}", data, 2n ** 64n - 1n)),
      /header length is 18446744073709551615/,
    ],
    [
      "a header that is not UTF-8",
      () => failureOfBytes("latin", assemble(Uint8Array.of(0x7b, 0xff, 0x7d), data)),
      /not valid UTF-8/,
    ],
    [
      "a header that is not JSON",
      () => failureOfBytes("text", assemble("not json", data)),
      /safetensors header: not valid JSON/,
    ],
    [
      "a header that is a list",
      () => failureOfBytes("list", assemble("[]", data)),
      /expected an object that maps names to tensors, found \[\]/,
    ],
    [
      "a wrong dtype",
      () => failureOfBytes("i64", withEntry({ dtype: "I64", shape: [1], data_offsets: [16, 24] })),
      /tensor "b" has dtype "I64"; expected F32, F16 or BF16/,
    ],
    [
      "offsets past the end",
      () => failureOfBytes("past", withEntry({ dtype: "F32", shape: [3], data_offsets: [16, 28] })),
      /tensor "b" has data_offsets \[16, 28\]; expected begin ≤ end ≤ 24, .* cut short\?/,
    ],
    [
      "offsets the wrong way round",
      () => failureOfBytes("round", withEntry({ dtype: "F32", shape: [2], data_offsets: [24, 16] })),
      /tensor "b" has data_offsets \[24, 16\]/,
    ],
    [
      "overlapping tensors",
      () => failureOfBytes("overlap", withEntry({ dtype: "F32", shape: [3], data_offsets: [12, 24] })),
      /tensors "a" and "b" overlap/,
    ],
    [
      "a shape that its bytes belie",
      () => failureOfBytes("belied", withEntry({ dtype: "F32", shape: [3], data_offsets: [16, 24] })),
      /tensor "b" has 8 bytes of data; expected 12 for F32 of shape \[3\]/,
    ],
    [
      "a shape whose product overflows",
      () =>
        failureOfBytes(
          "overflow",
          withEntry({ dtype: "F16", shape: [2 ** 32, 2 ** 32, 2 ** 32], data_offsets: [16, 24] }),
        ),
      /tensor "b" has 8 bytes of data; expected more than 2\^53/,
    ],
    [
      "an overflow that a zero would hide",
      () => failureOfBytes("hidden", withEntry({ dtype: "F32", shape: [2 ** 40, 2 ** 40, 0], data_offsets: [24, 24] })),
      /tensor "b" has 0 bytes of data; expected more than 2\^53/,
    ],
    [
      "a fraction in a shape",
      () => failureOfBytes("fraction", withEntry({ dtype: "F32", shape: [1.5], data_offsets: [16, 24] })),
      /tensor "b": "shape.0" expected a whole number/,
    ],
    [
      "a negative offset",
      () => failureOfBytes("negative", withEntry({ dtype: "F32", shape: [2], data_offsets: [-8, 0] })),
      /"data_offsets.0" expected a whole number of at least 0, found -8/,
    ],
    [
      "a missing field",
      () => failureOfBytes("partial", withEntry({ dtype: "F32", shape: [2] })),
      /tensor "b": "data_offsets" expected two whole numbers/,
    ],
    [
      "metadata that is not text",
      () => failureOfBytes("meta", assemble(JSON.stringify({ __metadata__: { n: 1 } }), new Uint8Array(0))),
      /__metadata__: "n" expected a string, found 1/,
    ],
    [
      "bytes after the last tensor",
      () => failureOfBytes("appended", Buffer.concat([safetensors(good), Buffer.from("more")])),
      /4 bytes after the last tensor/,
    ],
    ["a file cut short", () => failureOfBytes("cut", safetensors(good).subarray(0, -1)), /tensor "b" .* cut short\?/],
  ])("%s", async (_, provoke, message) => {
    const error = await provoke();
    expect(error.code).toBe("file");
    expect(error.message).toMatch(message);
  });

  it("shows a long or hostile name on one short line", async () => {
    const name = `evil\n${"x".repeat(1000)}`;
    const error = await failureOfBytes(
      "name",
      assemble(JSON.stringify({ [name]: { dtype: "F32", shape: [1], data_offsets: [0, 400] } }), data),
    );
    expect(error.message.length).toBeLessThan(400 + at("name").length);
    expect(error.message).toContain(String.raw`"evil\nxxx`);
  });
});
