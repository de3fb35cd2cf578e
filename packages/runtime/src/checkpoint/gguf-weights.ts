import {
  QUANTISED_TYPES,
  WinnowError,
  isQuantised,
  quantisedRow,
  tensorBytes,
  type QuantisedType,
  type Shape,
} from "@winnow/core-tensor";

import { allocateWeight, bytesOfWeight } from "../files/allocate-weight";
import type { ModelConfig } from "../files/config";
import type { GgufFile } from "../files/gguf-file";
import type { GgufTensor } from "../files/gguf-header";
import { quote } from "../files/quote";
import type { TensorInfo, TensorSource, WeightDType, WeightTensor } from "../files/tensor-source";
import { familyNamed } from "../models/families";
import { CONFIGURATION } from "./gguf-config";
import { GgufNames } from "./gguf-names";
import { rowPacker } from "./pack-blocks";

/** Types of tensors by their names in GGUF files. */
const DTYPES: ReadonlyMap<string, WeightDType> = new Map(
  (["f32", "f16", "bf16", ...QUANTISED_TYPES] as const).map((dtype) => [dtype.toUpperCase(), dtype]),
);
/** Rows of blocks are read so many bytes at a time, at least one of them. */
const CHUNK_BYTES = 2 ** 22;

/**
 * A GGUF file's tensors, as they are in Hugging Face layout, quantised ones as rows of words. Files of some families have
 * the rows of q and k in another order, for a rotation that turns neighbours: that is undone as they are read.
 */
export class GgufWeights implements TensorSource {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly #entries: ReadonlyMap<string, Entry>;

  /** @throws WinnowError `model` for a tensor of a type that is not supported. */
  constructor(
    private readonly file: GgufFile,
    private readonly config: Pick<ModelConfig, "headDim" | "architecture">,
  ) {
    this.path = file.path;
    const names = new GgufNames(config.architecture);
    const entries = new Map<string, Entry>();
    for (const [own, stored] of file.tensors) {
      if (CONFIGURATION.has(own)) continue;
      entries.set(names.toHuggingFace(own), {
        own,
        stored,
        info: infoOf(stored, `${file.fileOf(own)}: tensor ${quote(own)}`),
      });
    }
    this.#entries = entries;
    this.tensors = new Map([...entries].map(([name, { info }]) => [name, info]));
  }

  whereIs(name: string): string {
    const own = this.#entries.get(name)?.own ?? name;
    return `${this.file.fileOf(own)}: tensor ${quote(own)}`;
  }

  has(name: string): boolean {
    return this.tensors.has(name);
  }

  async read(name: string): Promise<WeightTensor> {
    const { dtype, shape } = this.#entryOf(name).info;
    const result = allocateWeight(dtype, shape, this.whereIs(name));
    await this.readInto(bytesOfWeight(result), name);
    return result;
  }

  async readInto(target: Uint8Array, name: string): Promise<void> {
    const { own, info, stored } = this.#entryOf(name);
    if (target.length !== info.bytes) {
      throw new WinnowError(
        "shape",
        `${this.whereIs(name)} has ${info.bytes} bytes, and the target has ${target.length}`,
      );
    }
    if (isQuantised(info.dtype)) await this.#pack(target, own, stored.bytes, info.dtype, info.shape);
    else await this.file.readInto(target, own);
    const isPaired = familyNamed(this.config.architecture).gguf.turnsNeighbours && /\.attn_[qk]\./.test(own);
    if (isPaired) splitPairs(target, this.config.headDim, target.length / (info.shape[0] ?? 1));
  }

  /** Fill rows of words, a few rows of blocks at a time. */
  async #pack(target: Uint8Array, own: string, bytes: number, dtype: QuantisedType, shape: Shape): Promise<void> {
    const width = shape.at(-1) ?? 1;
    const words = new Uint32Array(target.buffer, target.byteOffset, target.length / 4);
    const rowWords = quantisedRow(dtype, width).words;
    const pack = rowPacker(dtype, width);
    const rows = words.length / rowWords;
    const rowBytes = bytes / rows;
    const atATime = Math.max(1, Math.floor(CHUNK_BYTES / rowBytes));
    const halves = new Uint16Array((Math.min(rows, atATime) * rowBytes) / 2);
    for (let first = 0; first < rows; first += atATime) {
      const count = Math.min(atATime, rows - first);
      await this.file.readInto(new Uint8Array(halves.buffer, 0, count * rowBytes), own, first * rowBytes);
      for (let row = 0; row < count; row++) pack(halves, (row * rowBytes) / 2, words, (first + row) * rowWords);
    }
  }

  /** The file is the checkpoint's to close. */
  close(): Promise<void> {
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #entryOf(name: string): Entry {
    const entry = this.#entries.get(name);
    if (entry === undefined) {
      throw new WinnowError(
        "file",
        `${this.path}: no tensor ${quote(name)} among the ${this.tensors.size} in the file`,
      );
    }
    return entry;
  }
}

interface Entry {
  /** Its name in the file. */
  readonly own: string;
  readonly info: TensorInfo;
  readonly stored: GgufTensor;
}

function infoOf({ type, shape }: GgufTensor, what: string): TensorInfo {
  const dtype = DTYPES.get(type.name);
  if (dtype === undefined) {
    throw new WinnowError(
      "model",
      `${what} is stored as ${type.name}, which is not supported; supported: ${[...DTYPES.keys()].join(", ")}`,
    );
  }
  return { dtype, shape, bytes: tensorBytes(dtype, shape) };
}

/**
 * Give the rows of each head the order that rotates halves: of the rows 0, 1, 2, 3 … the even ones come first, then the odd
 * ones (the inverse of `permute` in llama.cpp's convert_hf_to_gguf.py).
 */
function splitPairs(bytes: Uint8Array, headDim: number, rowBytes: number): void {
  const headBytes = headDim * rowBytes;
  const half = headDim / 2;
  for (let head = 0; head < bytes.length; head += headBytes) {
    const rows = bytes.slice(head, head + headBytes);
    for (let row = 0; row < headDim; row++) {
      const from = (row < half ? 2 * row : 2 * (row - half) + 1) * rowBytes;
      bytes.set(rows.subarray(from, from + rowBytes), head + row * rowBytes);
    }
  }
}
