import type { RangedFile } from "./ranged-file";

/**
 * The files of a model in Hugging Face layout, wherever they are: `directoryFiles` reads a directory, `fetchedFiles`
 * asks a web server. Names are relative, with `/` between folders.
 */
export interface ModelFiles {
  /** Where the files are, for messages. */
  readonly path: string;
  /** Where one of them is, for messages. */
  pathOf(name: string): string;
  /** @throws WinnowError `file` when the place itself is not there, as far as can be told. */
  expectPlace(): Promise<void>;
  /**
   * A file of UTF-8 text.
   *
   * @returns null where nothing is there.
   * @throws WinnowError `file` where something is there that cannot be read as UTF-8 text.
   */
  readText(name: string): Promise<string | null>;
  /**
   * Open a file of weights; the caller closes it.
   *
   * @returns null where nothing is there.
   * @throws WinnowError `file` where something is there that cannot be opened.
   */
  open(name: string): Promise<RangedFile | null>;
}
