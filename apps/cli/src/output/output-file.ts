import { WinnowError } from "@winnow/core-tensor";

import { WholeFile } from "./whole-file";

/** A file that a flag names, known to be writable before anything is computed for it. */
export interface OutputFile {
  /**
   * Write it, whole or not at all.
   *
   * @throws WinnowError `file` naming the flag and the file.
   */
  write(text: string): Promise<void>;
}

/** @throws WinnowError `usage` naming the flag and the file, where it could not be written. */
export async function outputFile(path: string, flag: string): Promise<OutputFile> {
  const refused = (cause: unknown): string =>
    `${flag} "${path}" cannot be written: ${cause instanceof Error ? cause.message : String(cause)}`;
  const file = await WholeFile.at(path).catch((cause: unknown) => {
    throw new WinnowError("usage", `${refused(cause)}; name a file in a folder that can be written to`, { cause });
  });
  return {
    async write(text) {
      try {
        await file.write(text);
      } catch (cause) {
        throw new WinnowError("file", refused(cause), { cause });
      }
    },
  };
}
