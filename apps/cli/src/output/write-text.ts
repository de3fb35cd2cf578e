import { writeFile } from "node:fs/promises";

import { WinnowError } from "@winnow/core-tensor";

/** @throws WinnowError `file` naming the flag and the file. */
export async function writeText(file: string, text: string, flag: string): Promise<void> {
  try {
    await writeFile(file, text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new WinnowError("file", `${flag} ${file}: it cannot be written: ${reason}`, { cause });
  }
}
