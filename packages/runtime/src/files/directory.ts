import { stat } from "node:fs/promises";

import { WinnowError } from "@winnow/core-tensor";

import { systemError } from "./system-error";

/** @throws WinnowError `file` when nothing is there, or not a directory. */
export async function expectDirectory(dir: string): Promise<void> {
  try {
    if ((await stat(dir)).isDirectory()) return;
  } catch (cause) {
    throw systemError(dir, cause);
  }
  throw new WinnowError("file", `${dir}: not a directory, expected one with a model's files`);
}
