import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";

import type { TextStore } from "@winnow/gpu-backend";

import { WholeFile } from "../output/whole-file";

/** Texts as files of a folder, which is made when the first one is written. */
export class FolderStore implements TextStore {
  constructor(readonly folder: string) {}

  /** Null where there is no such file; a file that cannot be read rejects with what the system says. */
  async read(name: string): Promise<string | null> {
    try {
      return await readFile(this.pathOf(name), "utf8");
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
      throw error;
    }
  }

  /** The file is replaced whole, so that who reads it meanwhile finds the old or the new one. */
  async write(name: string, text: string): Promise<void> {
    await mkdir(this.folder, { recursive: true });
    await (await WholeFile.at(this.pathOf(name))).write(text);
  }

  pathOf(name: string): string {
    return join(this.folder, name);
  }
}
