import { open, stat, type FileHandle } from "node:fs/promises";

import { WinnowError } from "@winnow/core-tensor";

import type { RangedFile } from "./ranged-file";
import { isMissing, systemError } from "./system-error";

/** Bytes a read call; the system takes at most 2^31 − 1. */
const CHUNK_BYTES = 2 ** 28;

/**
 * Open a file of the system.
 *
 * @returns null where nothing is there.
 * @throws WinnowError `file` where something is there that is not a file, or cannot be opened.
 */
export async function openFile(path: string): Promise<RangedFile | null> {
  let handle: FileHandle;
  try {
    // Asked before opening: opening a pipe would wait for a writer.
    const found = await stat(path);
    if (!found.isFile()) {
      throw new WinnowError(
        "file",
        `${path}: ${found.isDirectory() ? "is a directory" : "not a regular file"}, expected a file`,
      );
    }
    handle = await open(path, "r");
  } catch (cause) {
    if (isMissing(cause)) return null;
    throw cause instanceof WinnowError ? cause : systemError(path, cause);
  }
  try {
    return new OpenFile(path, (await handle.stat()).size, handle);
  } catch (cause) {
    await handle.close();
    throw systemError(path, cause);
  }
}

class OpenFile implements RangedFile {
  readonly #handle: FileHandle;

  constructor(
    readonly path: string,
    readonly size: number,
    handle: FileHandle,
  ) {
    this.#handle = handle;
  }

  async read(target: Uint8Array, position: number): Promise<void> {
    let done = 0;
    while (done < target.byteLength) {
      const wanted = target.byteLength - done;
      let bytesRead: number;
      try {
        ({ bytesRead } = await this.#handle.read(target, done, Math.min(CHUNK_BYTES, wanted), position + done));
      } catch (cause) {
        throw systemError(this.path, cause);
      }
      if (bytesRead === 0) {
        throw new WinnowError(
          "file",
          `${this.path}: ends at byte ${position + done}, expected ${wanted} bytes more; the file has shrunk since it was opened`,
        );
      }
      done += bytesRead;
    }
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}
