import { mkdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

import { convertModel, directoryFiles, type ModelFiles } from "@winnow/runtime";

import { randomModelFiles } from "./gpu/random-model";
import { tell } from "./progress";
import { repositoryRoot } from "./repository";

export type KeptType = "f16" | "q8_0" | "q4_k";

/** A model's own weights, or the shape of one for random weights: its `config.json`, and a name. */
export interface ModelSource {
  readonly name: string;
  readonly config: object | null;
}

/** A file or folder that is made where it is not there yet, and kept for the next run; one that is broken off leaves nothing. */
export async function keptFile(name: string, make: (path: string) => Promise<unknown>): Promise<string> {
  const path = join(repositoryRoot(), ".cache", "bench", name);
  if ((await stat(path).catch(() => null)) !== null) return path;
  tell(`making ${path}, once`);
  await mkdir(dirname(path), { recursive: true });
  const unfinished = join(dirname(path), `unfinished-${basename(path)}`);
  await rm(unfinished, { recursive: true, force: true });
  await make(unfinished);
  await rename(unfinished, path);
  return path;
}

/** A GGUF file of a shape with random weights, or of the demo model, named after both. */
export function keptGguf(shape: string, type: KeptType, { name, config }: ModelSource): Promise<string> {
  const demo = join(repositoryRoot(), "models", "demo");
  const from: string | ModelFiles = config === null ? demo : randomModelFiles(name, config, directoryFiles(demo));
  return keptFile(`${shape}-${type}.gguf`, (path) => convertModel(from, path, { type }));
}
