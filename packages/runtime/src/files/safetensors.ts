import { open, stat, type FileHandle } from "node:fs/promises";

import { tensor, WinnowError } from "@winnow/core-tensor";

import { quote } from "./quote";
import { MAX_HEADER_BYTES, parseHeader, type TensorEntry } from "./safetensors-header";
import { systemError } from "./system-error";
import type { TensorInfo, TensorSource, WeightTensor } from "./tensor-source";

const LENGTH_BYTES = 8;
/** Bytes a read call; the system takes at most 2^31 − 1. */
const CHUNK_BYTES = 2 ** 28;

/**
 * Open a safetensors file and check its header; tensors are read one by one.
 *
 * @throws WinnowError `file` when the file is missing, not a file, cut short, or its header lies.
 * @example
 * ```ts
 * await using file = await openSafetensors("model.safetensors");
 * for (const [name, { dtype, shape }] of file.tensors) console.log(name, dtype, shape);
 * ```
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  const handle = await openFile(path);
  try {
    const { size } = await handle.stat();
    const dataStart = LENGTH_BYTES + (await headerLength(handle, path, size));
    const header = new Uint8Array(dataStart - LENGTH_BYTES);
    await readFully(handle, header, LENGTH_BYTES, path);
    return new SafetensorsFile(path, handle, parseHeader(header, { path, size, dataStart }));
  } catch (cause) {
    await handle.close();
    throw cause;
  }
}

/** An open safetensors file; made by {@link openSafetensors}. */
export class SafetensorsFile implements TensorSource {
  readonly #handle: FileHandle;
  readonly #entries: ReadonlyMap<string, TensorEntry>;
  #closed = false;

  constructor(
    readonly path: string,
    handle: FileHandle,
    entries: ReadonlyMap<string, TensorEntry>,
  ) {
    this.#handle = handle;
    this.#entries = entries;
  }

  get tensors(): ReadonlyMap<string, TensorInfo> {
    return this.#entries;
  }

  fileOf(): string {
    return this.path;
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  async read(name: string): Promise<WeightTensor> {
    const entry = this.#entries.get(name);
    if (entry === undefined) {
      throw new WinnowError(
        "file",
        `${this.path}: no tensor ${quote(name)} among the ${this.#entries.size} in the file`,
      );
    }
    if (this.#closed)
      throw new WinnowError("disposed", `${this.path} is closed; read ${quote(name)} before closing it`);
    const result = allocate(entry, `${this.path}: tensor ${quote(name)}`);
    const { buffer, byteOffset, byteLength } = result.data;
    await readFully(this.#handle, new Uint8Array(buffer, byteOffset, byteLength), entry.offset, this.path);
    return result;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#handle.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    // Asked before opening: opening a pipe would wait for a writer.
    const found = await stat(path);
    if (!found.isFile()) {
      throw new WinnowError(
        "file",
        `${path}: ${found.isDirectory() ? "is a directory" : "not a regular file"}, expected a safetensors file`,
      );
    }
    return await open(path, "r");
  } catch (cause) {
    throw cause instanceof WinnowError ? cause : systemError(path, cause);
  }
}

async function headerLength(handle: FileHandle, path: string, size: number): Promise<number> {
  if (size < LENGTH_BYTES) {
    throw new WinnowError(
      "file",
      `${path}: ${size} bytes is too short for a safetensors file, which begins with 8 bytes of header length`,
    );
  }
  const prefix = new Uint8Array(LENGTH_BYTES);
  await readFully(handle, prefix, 0, path);
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

/** The tensor that the bytes are read into: the one copy of them that is ever made. */
function allocate(entry: TensorEntry, what: string): WeightTensor {
  try {
    switch (entry.dtype) {
      case "f32":
        return tensor("f32", entry.shape, new Float32Array(entry.bytes / 4));
      case "f16":
      case "bf16":
        return tensor(entry.dtype, entry.shape, new Uint16Array(entry.bytes / 2));
    }
  } catch (cause) {
    throw new WinnowError("memory", `${what}: no memory for ${entry.bytes} bytes`, { cause });
  }
}

async function readFully(handle: FileHandle, target: Uint8Array, position: number, path: string): Promise<void> {
  let done = 0;
  while (done < target.byteLength) {
    let bytesRead: number;
    try {
      ({ bytesRead } = await handle.read(
        target,
        done,
        Math.min(CHUNK_BYTES, target.byteLength - done),
        position + done,
      ));
    } catch (cause) {
      throw systemError(path, cause);
    }
    if (bytesRead === 0) {
      throw new WinnowError(
        "file",
        `${path}: ends at byte ${position + done}, expected ${target.byteLength - done} bytes more; the file has shrunk since it was opened`,
      );
    }
    done += bytesRead;
  }
}
