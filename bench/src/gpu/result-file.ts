import { constants } from "node:fs";
import { access, rm, stat, writeFile } from "node:fs/promises";

import { WinnowError } from "@winnow/core-tensor";

/**
 * Find out that a result can be written before it is measured; nothing is left behind.
 *
 * @throws WinnowError `usage`
 */
export async function expectWritable(path: string): Promise<void> {
  await named(path, async () => {
    if (path === "") throw new Error("its name is empty");
    const there = await stat(path).catch(() => null);
    if (there?.isDirectory() === true) throw new Error("it is a folder");
    if (there !== null) {
      await access(path, constants.W_OK);
      return;
    }
    await writeFile(path, "", { flag: "wx" });
    await rm(path);
  });
}

/** @throws WinnowError `usage` when it cannot be written after all. */
export async function writeResult(path: string, text: string): Promise<void> {
  await named(path, () => writeFile(path, text));
}

async function named(path: string, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (cause) {
    const what = cause instanceof Error ? cause.message : String(cause);
    throw new WinnowError(
      "usage",
      `--out "${path}" cannot be written: ${what}; name a file in a folder that can be written to`,
      { cause },
    );
  }
}
