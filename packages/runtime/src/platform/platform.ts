import type { Backend } from "@winnow/core-tensor";

import type { ModelFiles } from "../files/model-files";
import type { RangedFile } from "../files/ranged-file";

/** What Node and browsers do differently. The build for browsers takes `./browser` wherever `./node` is imported. */
export interface Platform {
  /** A model's files at a place that is only named: a directory, or a URL. */
  filesAt(place: string): ModelFiles;
  /** A single file at a path, or a URL; null where nothing is there. */
  openFile(path: string): Promise<RangedFile | null>;
  /** The fast CPU backend, led by a thread of its own in Node. */
  openCpu(options: { readonly threads?: number | undefined }): Promise<Backend>;
  /** The reference that backends are tested against, in a thread of its own in Node. */
  openReference(): Promise<Backend>;
  /** Tell the developer something that is no error. */
  warn(message: string): void;
}
