import { WinnowError } from "@winnow/core-tensor";

import { quote } from "./quote";

/** Characters of a name that a message shows. */
const SHOWN = 64;

/** Numbers of one type, as an array of a GGUF file has them. */
export type GgufNumbers =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array
  | BigUint64Array
  | BigInt64Array;

/** A value of a GGUF file's metadata. Whole numbers of 64 bits that no number holds exactly are bigints. */
export type GgufValue = number | bigint | boolean | string | GgufNumbers | readonly GgufValue[];

/** How a GGUF file stores the elements of a tensor: so many to a block of so many bytes. */
export interface GgufType {
  readonly name: string;
  readonly blockElements: number;
  readonly blockBytes: number;
}

/** A tensor of a GGUF file, and where its bytes begin, counted from the start of the file. */
export interface GgufTensor {
  readonly type: GgufType;
  /** The slowest dimension first, as everywhere in Winnow; the file has the fastest first. */
  readonly shape: readonly number[];
  readonly bytes: number;
  readonly offset: number;
}

export interface GgufHeader {
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
}

/** ggml's types by their numbers (ggml.h, `ggml_type`). */
const TYPES: ReadonlyMap<number, GgufType> = new Map(
  (
    [
      [0, "F32", 1, 4],
      [1, "F16", 1, 2],
      [2, "Q4_0", 32, 18],
      [3, "Q4_1", 32, 20],
      [6, "Q5_0", 32, 22],
      [7, "Q5_1", 32, 24],
      [8, "Q8_0", 32, 34],
      [10, "Q2_K", 256, 84],
      [11, "Q3_K", 256, 110],
      [12, "Q4_K", 256, 144],
      [13, "Q5_K", 256, 176],
      [14, "Q6_K", 256, 210],
      [24, "I8", 1, 1],
      [25, "I16", 1, 2],
      [26, "I32", 1, 4],
      [27, "I64", 1, 8],
      [28, "F64", 1, 8],
      [30, "BF16", 1, 2],
    ] as const
  ).map(([id, name, blockElements, blockBytes]) => [id, { name, blockElements, blockBytes }]),
);

const MAGIC = 0x46554747; // "GGUF", little-endian
const BIG_ENDIAN_VERSIONS: readonly number[] = [0x02000000, 0x03000000];
const DEFAULT_ALIGNMENT = 32;
const MOST_DIMENSIONS = 4;
const MOST_NESTING = 4;
/** Bytes that the shortest key with a value, and the shortest tensor, take. */
const LEAST_PAIR_BYTES = 8 + 4 + 1;
const LEAST_TENSOR_BYTES = 8 + 4 + 4 + 8;

/** More bytes than are there yet are needed to go on. */
export class OutOfBytes extends Error {
  override readonly name = "OutOfBytes";
}

/**
 * Read the header of a GGUF file, version 2 or 3 (ggml/docs/gguf.md). Nothing that the file says of a length is believed
 * before the file has been seen to be long enough for it.
 *
 * @param bytes the file's first bytes.
 * @param size of the whole file.
 * @throws OutOfBytes where the header goes on behind `bytes`, and the file with it.
 * @throws WinnowError `file` naming the file, the key or tensor, what was found and what was expected.
 */
export function parseGgufHeader(bytes: Uint8Array, { path, size }: { path: string; size: number }): GgufHeader {
  const what = `${path}: GGUF header`;
  const reader = new Reader(bytes, size, what);
  if (size < 24 || reader.u32() !== MAGIC) {
    throw new WinnowError("file", `${path}: not a GGUF file; expected it to begin with "GGUF"`);
  }
  const version = reader.u32();
  if (version !== 2 && version !== 3) {
    const endian = BIG_ENDIAN_VERSIONS.includes(version) ? " (it is big-endian)" : "";
    throw new WinnowError("file", `${what}: version ${version}${endian} is not supported; expected 2 or 3`);
  }
  const tensorCount = reader.count("tensors", LEAST_TENSOR_BYTES);
  const pairCount = reader.count("keys", LEAST_PAIR_BYTES);
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < pairCount; i++) {
    const key = reader.string(`key ${i}`);
    if (metadata.has(key)) throw new WinnowError("file", `${what}: the key ${named(key)} is there twice`);
    metadata.set(key, reader.value(reader.u32(), `the key ${named(key)}`));
  }
  const places = new Map<string, Omit<GgufTensor, "offset"> & { readonly at: number }>();
  for (let i = 0; i < tensorCount; i++) {
    const name = reader.string(`tensor ${i}`);
    if (places.has(name)) throw new WinnowError("file", `${what}: the tensor ${named(name)} is there twice`);
    places.set(name, reader.tensor(`${path}: tensor ${named(name)}`));
  }
  const alignment = metadata.get("general.alignment") ?? DEFAULT_ALIGNMENT;
  if (typeof alignment !== "number" || !Number.isInteger(alignment) || alignment < 1 || alignment > 2 ** 20) {
    throw new WinnowError("file", `${what}: general.alignment is ${text(alignment)}; expected a whole number of bytes`);
  }
  const dataStart = Math.ceil(reader.at / alignment) * alignment;
  const tensors = new Map<string, GgufTensor>();
  for (const [name, { at, ...tensor }] of places) {
    const offset = dataStart + at;
    if (at % alignment !== 0 || offset + tensor.bytes > size) {
      throw new WinnowError(
        "file",
        `${path}: tensor ${named(name)} has ${tensor.bytes} bytes from byte ${offset} on; expected a multiple of ${alignment} ` +
          `behind the header, and an end within the file's ${size} bytes; is the file cut short?`,
      );
    }
    tensors.set(name, { ...tensor, offset });
  }
  expectDisjoint(tensors, path);
  return { metadata, tensors };
}

function expectDisjoint(tensors: ReadonlyMap<string, GgufTensor>, path: string): void {
  let before: readonly [string, GgufTensor] | undefined;
  for (const current of [...tensors].sort(([, a], [, b]) => a.offset - b.offset)) {
    if (before !== undefined && before[1].offset + before[1].bytes > current[1].offset) {
      throw new WinnowError(
        "file",
        `${path}: tensors ${named(before[0])} and ${named(current[0])} overlap in the file; expected bytes of their own`,
      );
    }
    if (current[1].bytes > 0) before = current;
  }
}

/** Little-endian values, one behind the other. */
class Reader {
  at = 0;
  readonly #view: DataView;
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });

  constructor(
    private readonly bytes: Uint8Array,
    private readonly size: number,
    private readonly what: string,
  ) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  /** How many there are of something that takes at least so many bytes each. */
  count(of: string, leastBytes: number): number {
    const count = this.#view.getBigUint64(this.#take(8), true);
    const left = this.size - this.at;
    if (count * BigInt(leastBytes) > BigInt(left)) {
      throw new WinnowError(
        "file",
        `${this.what}: it announces ${count} ${of}, and the file has ${left} bytes left; it is damaged or cut short`,
      );
    }
    return Number(count);
  }

  string(of: string): string {
    const length = this.count(`bytes for ${of}`, 1);
    const start = this.#take(length);
    return this.#decoder.decode(this.bytes.subarray(start, start + length));
  }

  /** @param type GGUF's number for the type of a value. */
  value(type: number, of: string, depth = 0): GgufValue {
    const view = this.#view;
    switch (type) {
      case 0:
        return view.getUint8(this.#take(1));
      case 1:
        return view.getInt8(this.#take(1));
      case 2:
        return view.getUint16(this.#take(2), true);
      case 3:
        return view.getInt16(this.#take(2), true);
      case 4:
        return this.u32();
      case 5:
        return view.getInt32(this.#take(4), true);
      case 6:
        return view.getFloat32(this.#take(4), true);
      case 7:
        return view.getUint8(this.#take(1)) !== 0;
      case 8:
        return this.string(of);
      case 9:
        return this.#array(of, depth);
      case 10:
        return exact(view.getBigUint64(this.#take(8), true));
      case 11:
        return exact(view.getBigInt64(this.#take(8), true));
      case 12:
        return view.getFloat64(this.#take(8), true);
      default:
        throw new WinnowError("file", `${this.what}: ${of} has a value of type ${type}; expected one from 0 to 12`);
    }
  }

  tensor(what: string): Omit<GgufTensor, "offset"> & { readonly at: number } {
    const dimensions = this.u32();
    if (dimensions > MOST_DIMENSIONS) {
      throw new WinnowError("file", `${what} has ${dimensions} dimensions; expected at most ${MOST_DIMENSIONS}`);
    }
    const shape = Array.from({ length: dimensions }, () => this.#extent(what)).reverse();
    const id = this.u32();
    const type = TYPES.get(id);
    if (type === undefined) {
      const known = [...TYPES.values()].map(({ name }) => name).join(", ");
      throw new WinnowError("model", `${what} is stored as ggml's type ${id}; expected one of ${known}`);
    }
    const elements = shape.reduce((product, extent) => product * extent, 1);
    const row = shape.at(-1) ?? 1;
    if (!Number.isSafeInteger(elements) || row % type.blockElements !== 0) {
      throw new WinnowError(
        "file",
        `${what} is ${type.name} of shape [${shape.join(", ")}]; expected fewer than 2^53 elements, in rows of whole blocks ` +
          `of ${type.blockElements}`,
      );
    }
    const bytes = (elements / type.blockElements) * type.blockBytes;
    return { type, shape, bytes, at: this.#extent(what) };
  }

  #array(of: string, depth: number): GgufValue {
    if (depth >= MOST_NESTING) {
      throw new WinnowError(
        "file",
        `${this.what}: ${of} has arrays in arrays; expected at most ${MOST_NESTING} levels`,
      );
    }
    const type = this.u32();
    const length = this.count(`values for ${of}`, leastBytes(type));
    const numbers = NUMBERS[type];
    if (numbers !== undefined && numbers !== null) {
      const start = this.#take(length * numbers.BYTES_PER_ELEMENT);
      // A copy: the file does not align its values, and the array outlives the header.
      return new numbers(new Uint8Array(this.bytes.subarray(start, this.at)).buffer);
    }
    const values: GgufValue[] = [];
    for (let i = 0; i < length; i++) values.push(this.value(type, of, depth + 1));
    return values;
  }

  #extent(what: string): number {
    const value = this.#view.getBigUint64(this.#take(8), true);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new WinnowError("file", `${what} has an extent or offset of ${value}; expected less than 2^53`);
    }
    return Number(value);
  }

  /** @returns where so many bytes begin, which are read now. */
  #take(bytes: number): number {
    const start = this.at;
    if (start + bytes > this.bytes.length) {
      if (start + bytes <= this.size) throw new OutOfBytes();
      throw new WinnowError("file", `${this.what}: the file ends amid it, at byte ${this.size}; it is cut short`);
    }
    this.at += bytes;
    return start;
  }
}

/** What an array of GGUF's type of that number becomes; null for those that are not of numbers. */
const NUMBERS = [
  Uint8Array,
  Int8Array,
  Uint16Array,
  Int16Array,
  Uint32Array,
  Int32Array,
  Float32Array,
  null,
  null,
  null,
  BigUint64Array,
  BigInt64Array,
  Float64Array,
] as const;

/** Bytes that the shortest value of a type takes: of a string its length, of an array its type and length. */
function leastBytes(type: number): number {
  return NUMBERS[type]?.BYTES_PER_ELEMENT ?? { 7: 1, 8: 8, 9: 12 }[type] ?? 1;
}

/** A name as a message may show it: in a damaged file it may be anything. */
function named(name: string): string {
  return quote(name.length > SHOWN ? `${name.slice(0, SHOWN)}…` : name);
}

function exact(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function text(value: GgufValue): string {
  return typeof value === "object" ? "an array" : String(value);
}
