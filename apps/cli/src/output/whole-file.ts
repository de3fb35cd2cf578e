import { constants } from "node:fs";
import { access, realpath, rename, rm, stat, writeFile } from "node:fs/promises";

/** A file that is written whole or not at all: beside its place first, and then renamed. */
export class WholeFile {
  readonly #target: string;
  readonly #temporary: string;

  private constructor(target: string) {
    this.#target = target;
    this.#temporary = `${target}.${process.pid}.tmp`;
  }

  /**
   * The file at a path, or at what a link there points to. That it can be written is found out by trying, which leaves
   * nothing behind.
   *
   * @throws Error that says what is there instead, or what the system said.
   */
  static async at(path: string): Promise<WholeFile> {
    if (path === "") throw new Error("its name is empty");
    const there = await stat(path).catch(() => null);
    if (there?.isDirectory() === true) throw new Error("it is a folder");
    // Renaming would put a file in the place of a pipe or a device.
    if (there?.isFile() === false) throw new Error("it is a pipe or a device");
    if (there !== null) await access(path, constants.W_OK);
    const file = new WholeFile(there === null ? path : await realpath(path));
    await writeFile(file.#temporary, "");
    await rm(file.#temporary);
    return file;
  }

  async write(text: string): Promise<void> {
    try {
      await writeFile(this.#temporary, text);
      await rename(this.#temporary, this.#target);
    } catch (error) {
      await rm(this.#temporary, { force: true }).catch(() => undefined);
      throw error;
    }
  }
}
