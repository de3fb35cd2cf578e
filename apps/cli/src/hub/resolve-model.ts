import { existsSync } from "node:fs";
import { basename, resolve } from "node:path";

import { WinnowError } from "@winnow/core-tensor";

import { cacheFolder } from "./cache-folder";
import { cachedOf, type CachedModel } from "./cached-models";
import { modelsMeant } from "./gguf-models";
import { formatModelName, parseModelName, type ModelName } from "./model-name";

/** A model as it was typed, found. */
export interface FoundModel {
  /** What is loaded: a directory in Hugging Face layout, or a GGUF file. */
  readonly place: string;
  /** What it is called: a path's last part, or the name that it was pulled by. */
  readonly name: string;
}

/**
 * Find the model that was typed: a path where there is something at it, else the name of a model that was pulled.
 *
 * @returns the text as it is where it can be no name, so that whoever opens it says what is missing.
 * @throws WinnowError `usage` when there is no text; `file` when it can be a name, and no model of it has been pulled, or
 * several have.
 */
export async function resolveModel(text: string, env: NodeJS.ProcessEnv = process.env): Promise<FoundModel> {
  if (text === "") {
    throw new WinnowError("usage", "the model's name is empty; give a folder, a GGUF file, or a model that was pulled");
  }
  const name = existsSync(text) ? null : parseModelName(text);
  if (name === null) return { place: text, name: basename(resolve(text)) };
  const { place } = await findCached(cacheFolder(env), name);
  if (place === null) {
    throw new WinnowError("file", `${text}: has been pulled in part only; winnow pull ${text} gets the rest`);
  }
  return { place, name: text };
}

/**
 * The model of a cache that a name means.
 *
 * @throws WinnowError `file` when there is none, or there are several.
 */
export async function findCached(root: string, name: ModelName): Promise<CachedModel> {
  const text = formatModelName(name);
  const all = await cachedOf(root, name);
  const meant = meantBy(name, all);
  const [found] = meant;
  if (found === undefined) {
    const others = all.length === 0 ? "" : ` (${namesOf(all)} ${all.length === 1 ? "has" : "have"})`;
    throw new WinnowError(
      "file",
      `${text}: there is no such path, and no model of that name has been pulled${others}; check the path, or get it with winnow pull ${text}`,
    );
  }
  if (meant.length > 1) {
    throw new WinnowError("file", `${text}: ${meant.length} models have been pulled; name one of ${namesOf(meant)}`);
  }
  return found;
}

function meantBy({ file }: ModelName, all: readonly CachedModel[]): readonly CachedModel[] {
  if (file === null) {
    const folder = all.filter(({ format }) => format === "safetensors");
    return folder.length > 0 ? folder : all;
  }
  const byFile = new Map(all.flatMap((model) => (model.name.file === null ? [] : [[model.name.file, model]])));
  return modelsMeant(byFile.keys(), file).flatMap((found) => byFile.get(found) ?? []);
}

function namesOf(models: readonly CachedModel[]): string {
  return models.map(({ name }) => formatModelName(name)).join(", ");
}
