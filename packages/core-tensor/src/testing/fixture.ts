import type { Backend } from "../backend";
import type { DeviceTensor } from "../device-tensor";
import { randomUnit } from "../expr";
import { numberToBf16, numberToF16 } from "../half";
import { isQuantisedKv, kvRow, kvTypeOfRow, type KvType } from "../kv-type";
import { dequantiseRows, quantiseRows } from "../quantised-kv";
import type { QuantisedType } from "../quantised-row";
import type { Shape } from "../shape";
import { elementCount } from "../shape";
import { tensor, type Tensor } from "../tensor";

/** Numbers in [-1, 1) that f32 holds exactly, the same for the same seed. */
export function randoms(seed: number, count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => randomUnit(seed, i >>> 16, i & 0xffff) * 2 - 1);
}

/** Whole numbers in 0 .. below - 1, the same for the same seed. */
export function randomIntegers(seed: number, count: number, below: number): number[] {
  return Array.from({ length: count }, (_, i) => Math.floor(randomUnit(seed, 0x1000, i) * below));
}

/** The numbers 0 .. count - 1 in an order that the seed fixes. */
export function shuffled(seed: number, count: number): number[] {
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(randomUnit(seed, 0x2000, i) * (i + 1));
    const a = order[i] ?? 0;
    order[i] = order[j] ?? 0;
    order[j] = a;
  }
  return order;
}

/** Item `i` of a list that has one. */
export function at<T>(items: ArrayLike<T>, i: number): T {
  const item = items[i];
  if (item === undefined) throw new RangeError(`item ${i} of a list of ${items.length}`);
  return item;
}

/** Short ways to put numbers on a backend and to get them back. */
export class Fixture implements Disposable {
  readonly #made: DeviceTensor[] = [];

  /** @param kvType how caches store keys and values. */
  constructor(
    readonly backend: Backend,
    readonly kvType: KvType = "f32",
  ) {}

  /** Numbers on the device; zeros where none are given. */
  f32(shape: Shape, values?: ArrayLike<number>): DeviceTensor {
    const data = values === undefined ? new Float32Array(elementCount(shape)) : Float32Array.from(values);
    return this.#keep(this.backend.upload(tensor("f32", shape, data), { label: "numbers", category: "activations" }));
  }

  /** A weight of halves. */
  halves(dtype: "f16" | "bf16", shape: Shape, values: ArrayLike<number>): DeviceTensor {
    const data = Uint16Array.from(values, dtype === "f16" ? numberToF16 : numberToBf16);
    return this.#keep(this.backend.upload(tensor(dtype, shape, data), { label: "weight", category: "weights" }));
  }

  /** A weight of quantised rows. */
  quantised(type: QuantisedType, shape: Shape, words: Uint32Array): DeviceTensor {
    const source = tensor(type, shape, words.slice());
    return this.#keep(this.backend.upload(source, { label: "weight", category: "weights" }));
  }

  /** Keys and values; the last dimension is that of a head. */
  kv(shape: Shape, values: Float32Array): DeviceTensor {
    return this.#keep(this.backend.upload(this.#stored(shape, values), { label: "slab", category: "kv" }));
  }

  /** Keys or values of rows being read: in halves where the cache is smaller than f32 and the backend has halves. */
  scratch(shape: Shape, values: Float32Array = new Float32Array(elementCount(shape))): DeviceTensor {
    if (this.kvType === "f32" || this.backend.name === "cpu") return this.f32(shape, values);
    const halves = tensor("f16", shape, Uint16Array.from(values, numberToF16));
    return this.#keep(this.backend.upload(halves, { label: "scratch", category: "kv" }));
  }

  /** What a slab of keys and values stands for; with null, of columns. */
  async readFloats(slab: DeviceTensor, headDim: number | null): Promise<Float32Array> {
    const data = await this.backend.download(slab);
    if (data instanceof Float32Array) return data;
    if (headDim === null) throw new TypeError(`the slab "${slab.label}" holds words, and columns are f32`);
    const kvType = kvTypeOfRow({ dtype: slab.dtype, width: slab.shape.at(-1) ?? 0 }, headDim);
    if (!isQuantisedKv(kvType)) throw new TypeError(`the slab "${slab.label}" holds words, and is of ${kvType}`);
    return dequantiseRows(kvType, data, headDim);
  }

  u32(shape: Shape, values?: ArrayLike<number>): DeviceTensor {
    const data = values === undefined ? new Uint32Array(elementCount(shape)) : Uint32Array.from(values);
    return this.#keep(this.backend.upload(tensor("u32", shape, data), { label: "words", category: "activations" }));
  }

  async read(source: DeviceTensor): Promise<number[]> {
    return Array.from(await this.backend.download(source));
  }

  /** Dispose every tensor that was made here. */
  release(): void {
    for (const tensor of this.#made.splice(0)) tensor[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.backend[Symbol.dispose]();
  }

  #stored(shape: Shape, values: Float32Array): Tensor {
    switch (this.kvType) {
      case "f32":
        return tensor("f32", shape, Float32Array.from(values));
      case "f16":
        return tensor("f16", shape, Uint16Array.from(values, numberToF16));
      case "q8":
      case "q4": {
        const headDim = shape.at(-1) ?? 0;
        const { width } = kvRow(this.kvType, headDim);
        return tensor("u32", [...shape.slice(0, -1), width], quantiseRows(this.kvType, values, headDim));
      }
    }
  }

  #keep(made: DeviceTensor): DeviceTensor {
    this.#made.push(made);
    return made;
  }
}
