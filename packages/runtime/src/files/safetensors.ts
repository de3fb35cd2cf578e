import { WinnowError } from "@winnow/core-tensor";

import { platform } from "../platform/node";
import { allocateWeight, bytesOfWeight } from "./allocate-weight";
import { quote } from "./quote";
import type { RangedFile } from "./ranged-file";
import { MAX_HEADER_BYTES, parseHeader, type TensorEntry } from "./safetensors-header";
import type { TensorInfo, TensorSource, WeightTensor } from "./tensor-source";

const LENGTH_BYTES = 8;

/**
 * Open a safetensors file and check its header; tensors are read one by one.
 *
 * @param path of the file; in a browser, its URL.
 * @throws WinnowError `file` when the file is missing, not a file, cut short, or its header lies.
 * @example
 * ```ts
 * await using file = await openSafetensors("model.safetensors");
 * for (const [name, { dtype, shape }] of file.tensors) console.log(name, dtype, shape);
 * ```
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  const file = await platform.openFile(path);
  if (file === null) throw new WinnowError("file", `${path}: no such file or directory`);
  return readSafetensors(file);
}

/** As {@link openSafetensors}, of a file that is already open, and is closed with the result or when this fails. */
export async function readSafetensors(file: RangedFile): Promise<SafetensorsFile> {
  try {
    const { path, size } = file;
    const dataStart = LENGTH_BYTES + (await headerLength(file));
    const header = new Uint8Array(dataStart - LENGTH_BYTES);
    await file.read(header, LENGTH_BYTES);
    return new SafetensorsFile(file, parseHeader(header, { path, size, dataStart }));
  } catch (cause) {
    await file.close();
    throw cause;
  }
}

/** An open safetensors file; made by {@link openSafetensors}. */
export class SafetensorsFile implements TensorSource {
  readonly path: string;
  readonly #file: RangedFile;
  readonly #entries: ReadonlyMap<string, TensorEntry>;
  #closed = false;

  constructor(file: RangedFile, entries: ReadonlyMap<string, TensorEntry>) {
    this.path = file.path;
    this.#file = file;
    this.#entries = entries;
  }

  get tensors(): ReadonlyMap<string, TensorInfo> {
    return this.#entries;
  }

  whereIs(name: string): string {
    return `${this.path}: tensor ${quote(name)}`;
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  async read(name: string): Promise<WeightTensor> {
    const { dtype, shape } = this.#entryOf(name);
    const result = allocateWeight(dtype, shape, this.whereIs(name));
    await this.readInto(bytesOfWeight(result), name);
    return result;
  }

  async readInto(target: Uint8Array, name: string): Promise<void> {
    const { bytes, offset } = this.#entryOf(name);
    if (target.length !== bytes) {
      throw new WinnowError("shape", `${this.whereIs(name)} has ${bytes} bytes, and the target has ${target.length}`);
    }
    await this.#file.read(target, offset);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#file.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #entryOf(name: string): TensorEntry {
    const entry = this.#entries.get(name);
    if (entry === undefined) {
      throw new WinnowError(
        "file",
        `${this.path}: no tensor ${quote(name)} among the ${this.#entries.size} in the file`,
      );
    }
    if (this.#closed)
      throw new WinnowError("disposed", `${this.path} is closed; read ${quote(name)} before closing it`);
    return entry;
  }
}

async function headerLength(file: RangedFile): Promise<number> {
  const { path, size } = file;
  if (size < LENGTH_BYTES) {
    throw new WinnowError(
      "file",
      `${path}: ${size} bytes is too short for a safetensors file, which begins with 8 bytes of header length`,
    );
  }
  const prefix = new Uint8Array(LENGTH_BYTES);
  await file.read(prefix, 0);
  const length = new DataView(prefix.buffer).getBigUint64(0, true);
  const room = size - LENGTH_BYTES;
  if (length > BigInt(Math.min(room, MAX_HEADER_BYTES))) {
    const limit = room < MAX_HEADER_BYTES ? `${room}, the rest of the file` : `${MAX_HEADER_BYTES}`;
    throw new WinnowError(
      "file",
      `${path}: header length is ${length}, expected at most ${limit}; not a safetensors file, or cut short`,
    );
  }
  return Number(length);
}
