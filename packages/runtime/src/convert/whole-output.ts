import { mkdir, open, rename, rm, stat, type FileHandle } from "node:fs/promises";

import { WinnowError } from "@winnow/core-tensor";

import { systemError } from "../files/system-error";

/**
 * Make a file or a folder whole or not at all: under another name first, beside its place, then renamed.
 *
 * @param make is given the name to write under.
 * @param replace whether a file that is there already is replaced; a folder never is.
 * @throws WinnowError `file` where something is there already, or the system refuses.
 */
export async function makeWhole(
  path: string,
  replace: boolean,
  make: (temporary: string) => Promise<void>,
): Promise<void> {
  const there = await stat(path).catch(() => null);
  if (there !== null && !(replace && there.isFile())) {
    const fix = there.isFile() ? "give another name, or --force to replace it" : "give another name, or remove it";
    throw new WinnowError("file", `${path} is there already; ${fix}`);
  }
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    await make(temporary);
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
    throw cause instanceof Error && "syscall" in cause ? systemError(path, cause) : cause;
  }
}

/** Write a new file, part after part. */
export async function writeParts(path: string, parts: AsyncIterable<Uint8Array>): Promise<void> {
  const file = await open(path, "wx");
  try {
    for await (const part of parts) await writeAll(file, part);
  } finally {
    await file.close();
  }
}

export async function makeFolder(path: string): Promise<void> {
  await mkdir(path);
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += (await file.write(bytes, at)).bytesWritten;
}
