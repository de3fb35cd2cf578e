import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";

import { WinnowError } from "@winnow/core-tensor";

import { expectDirectory } from "./directory";
import { decodeText } from "./json-file";
import type { ModelFiles } from "./model-files";
import { openFile } from "./open-file";
import { isMissing, systemError } from "./system-error";

/**
 * A model's files in a directory.
 *
 * @example using model = await loadModel(directoryFiles("models/demo")); // as loadModel("models/demo") in Node
 */
export function directoryFiles(dir: string): ModelFiles {
  const pathOf = (name: string): string => join(dir, name);
  return {
    path: dir,
    pathOf,
    expectPlace: () => expectDirectory(dir),
    readText: (name) => readTextFile(pathOf(name)),
    open: (name) => openFile(pathOf(name)),
  };
}

async function readTextFile(path: string): Promise<string | null> {
  let bytes: Uint8Array;
  try {
    // A pipe or a device would be waited for without end.
    if (!(await stat(path)).isFile()) throw new WinnowError("file", `${path}: not a regular file`);
    bytes = await readFile(path);
  } catch (cause) {
    if (isMissing(cause)) return null;
    throw cause instanceof WinnowError ? cause : systemError(path, cause);
  }
  return decodeText(bytes, path);
}
