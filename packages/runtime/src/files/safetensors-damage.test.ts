import { writeFile } from "node:fs/promises";

import { WinnowError } from "@winnow/core-tensor";
import { expect, it } from "vitest";

import { openSafetensors } from "./safetensors";
import { MOST_MORE_BYTES, peakMemory } from "./testing/peak-memory";
import { temporaryDirectory } from "./testing/temporary-directory";
import { assemble, headerOf, safetensors, type HeaderJson, type TensorToWrite } from "./testing/write-safetensors";

const at = temporaryDirectory();

/** A small generator of random numbers (mulberry32), so that a failing case can be run again by its seed. */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}
type Random = ReturnType<typeof randomOf>;

function pick<T>(random: Random, from: readonly T[]): T {
  const i = random(from.length);
  for (const value of from.slice(i, i + 1)) return value;
  throw new Error("nothing to pick from");
}

/** Two to five tensors with at least one element each. */
function someTensors(random: Random): readonly TensorToWrite[] {
  return Array.from({ length: 2 + random(4) }, (_, i) => {
    const dtype = pick(random, ["F32", "F16", "BF16"]);
    const shape = Array.from({ length: 1 + random(3) }, () => 1 + random(4));
    const bytes = shape.reduce((product, extent) => product * extent, dtype === "F32" ? 4 : 2);
    return { name: `layer.${i}.weight`, dtype, shape, data: Uint8Array.from({ length: bytes }, () => random(256)) };
  });
}

interface Entry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

const NONSENSE: readonly unknown[] = [null, true, "7", -1, 1.5, 2 ** 53, 1e300, {}, [], [[]], { a: 1 }];

/** Ways to damage one entry of a header; each makes it impossible to be right. */
const ENTRY_DAMAGE: readonly ((random: Random, entry: Entry) => unknown)[] = [
  (random, entry) => ({ ...entry, dtype: pick(random, ["F64", "I8", "f32", "", "F8_E4M3", "BOOL", "F32 "]) }),
  (random, entry) => ({ ...entry, dtype: entry.dtype === "F32" ? pick(random, ["F16", "BF16"]) : "F32" }),
  (random, entry) => ({ ...entry, dtype: pick(random, NONSENSE) }),
  (random, entry) => ({ ...entry, shape: pick(random, [null, "2", 2, {}]) }),
  (random, entry) => ({
    ...entry,
    shape: [...entry.shape, pick(random, [0, 2, 3, 2 ** 31, 2 ** 52, 2 ** 53, -1, 0.5, null, "1"])],
  }),
  (random, entry) => ({ ...entry, shape: [2 ** 52, 2 ** 52, ...entry.shape].slice(random(2)) }),
  (random, entry) => ({ ...entry, data_offsets: pick(random, NONSENSE) }),
  (random, entry) => ({ ...entry, data_offsets: [entry.data_offsets[0], pick(random, NONSENSE)] }),
  (random, entry) => ({ ...entry, data_offsets: [...entry.data_offsets, random(100)] }),
  (_, entry) => ({ ...entry, data_offsets: [entry.data_offsets[1], entry.data_offsets[0]] }),
  (random, entry) => ({ ...entry, data_offsets: moved(entry, 1 + random(40), random(2) === 0 ? 1 : -1) }),
  (random, entry) => ({ ...entry, data_offsets: moved(entry, pick(random, [2 ** 31, 2 ** 32, 2 ** 40, 2 ** 52]), 1) }),
  (random, entry) => ({ ...entry, data_offsets: [entry.data_offsets[0], entry.data_offsets[1] + 1 + random(1000)] }),
  (random, entry) => without(entry, pick(random, ["dtype", "shape", "data_offsets"])),
  (_, entry) => ({ ...entry, extra: 1 }),
  (random) => pick(random, NONSENSE),
];

function without(entry: Entry, field: keyof Entry): unknown {
  return Object.fromEntries(Object.entries(entry).filter(([name]) => name !== field));
}

function moved({ data_offsets: [begin, end] }: Entry, by: number, sign: 1 | -1): [number, number] {
  return [begin + sign * by, end + sign * by];
}

/** Ways to damage a file. */
const FILE_DAMAGE: readonly ((random: Random) => Uint8Array)[] = [
  function cutShort(random) {
    const file = safetensors(someTensors(random));
    return file.subarray(0, random(file.length));
  },
  function lyingLength(random) {
    const tensors = someTensors(random);
    const header = JSON.stringify(headerOf(tensors)).padEnd(1024);
    const lie = pick(random, [
      0n,
      1n,
      7n,
      BigInt(random(1024)),
      BigInt(1025 + random(4096)),
      10n ** 8n,
      2n ** 32n,
      2n ** 53n,
      2n ** 63n,
      2n ** 64n - 1n,
    ]);
    return assemble(header, Buffer.concat(tensors.map(({ data }) => data)), lie);
  },
  function lyingEntry(random) {
    const tensors = someTensors(random);
    const header = headerOf(tensors);
    const [name, entry] = pick(random, entriesOf(tensors));
    return withHeader({ ...header, [name]: pick(random, ENTRY_DAMAGE)(random, entry) }, tensors);
  },
  function sharedBytes(random) {
    const [first, second, ...others] = someTensors(random);
    if (first === undefined || second === undefined) throw new Error("two tensors at least");
    const twin = { ...first, name: second.name };
    const header = headerOf([first, twin, ...others]);
    header[twin.name] = header[first.name];
    return withHeader(header, [first, twin, ...others]);
  },
  function brokenMetadata(random) {
    const tensors = someTensors(random);
    return withHeader(
      { ...headerOf(tensors), __metadata__: pick(random, [null, 1, "x", [], { a: 1 }, { a: { b: "c" } }]) },
      tensors,
    );
  },
  function noHeader(random) {
    const text = pick(random, [
      "",
      "null",
      "1",
      '"x"',
      "[]",
      "{",
      "{}}",
      "{'a': 1}",
      "[".repeat(5000),
      '{"a":'.repeat(3000),
      "\uFEFF{}",
      "{}\u0000",
    ]);
    return assemble(Buffer.from(text), Buffer.from("data"));
  },
  function noise(random) {
    return Uint8Array.from({ length: random(200) }, () => random(256));
  },
  function notText(random) {
    const tensors = someTensors(random);
    const header = Buffer.from(JSON.stringify(headerOf(tensors)));
    header[random(header.length)] = 0x80 + random(0x80);
    return assemble(header, Buffer.concat(tensors.map(({ data }) => data)));
  },
  function somethingAppended(random) {
    return Buffer.concat([safetensors(someTensors(random)), Buffer.alloc(1 + random(64))]);
  },
];

/** The tensors as a well-formed header describes them. */
function entriesOf(tensors: readonly TensorToWrite[]): readonly (readonly [name: string, entry: Entry])[] {
  let at = 0;
  return tensors.map(({ name, dtype, shape, data }) => [
    name,
    { dtype, shape, data_offsets: [at, (at += data.length)] },
  ]);
}

function withHeader(header: HeaderJson, tensors: readonly TensorToWrite[]): Uint8Array {
  return assemble(JSON.stringify(header), Buffer.concat(tensors.map(({ data }) => data)));
}

it("refuses 4,000 damaged files, each with a WinnowError, and believes none about its size", async () => {
  for (let seed = 0; seed < 4000; seed++) {
    const random = randomOf(seed);
    const damage = pick(random, FILE_DAMAGE);
    const what = `seed ${seed}, ${damage.name}`;
    const bytes = damage(random);
    await writeFile(at("damaged"), bytes);
    const before = process.memoryUsage().arrayBuffers;
    const peak = peakMemory();
    const error: unknown = await openSafetensors(at("damaged")).then(
      () => "it opened",
      (cause: unknown) => cause,
    );
    expect(process.memoryUsage().arrayBuffers - before, what).toBeLessThan(2 ** 18);
    expect(peakMemory() - peak, what).toBeLessThan(bytes.length + MOST_MORE_BYTES);
    if (!(error instanceof WinnowError)) throw new Error(`${what}: ${String(error)}`);
    expect(error.code, what).toBe("file");
    expect(error.message, what).toContain(at("damaged"));
    expect(error.message, what).not.toContain("\n");
  }
}, 60_000);

it("with any one byte of the header changed, either refuses or reads what the header says", async () => {
  for (let seed = 0; seed < 600; seed++) {
    const random = randomOf(seed);
    const file = Buffer.from(safetensors(someTensors(random)));
    const headerLength = Number(file.readBigUInt64LE());
    file[8 + random(headerLength)] = random(128);
    await writeFile(at("changed"), file);
    try {
      await using opened = await openSafetensors(at("changed"));
      for (const [name, { bytes }] of opened.tensors)
        expect((await opened.read(name)).data.byteLength, `seed ${seed}`).toBe(bytes);
    } catch (cause) {
      expect(cause, `seed ${seed}`).toBeInstanceOf(WinnowError);
    }
  }
}, 60_000);
