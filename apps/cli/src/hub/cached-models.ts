import { readdir, rm, rmdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";

import { MANIFEST, readManifest } from "./manifest";
import { formatModelName, parseModelName, type ModelName } from "./model-name";
import { isMissing, systemError } from "./system-error";

/** What a repository's model is called where its file is not part of its name. */
export const SAFETENSORS = "safetensors";

/** A model in the cache, or what there is of it so far. */
export interface CachedModel {
  /** As it was pulled: a GGUF file's path without the numbers of parts, or no file. */
  readonly name: ModelName;
  readonly format: "safetensors" | "gguf";
  readonly dir: string;
  /** What is loaded: the folder, or the first GGUF file. Null where not all files are there. */
  readonly place: string | null;
  /** On disk, unfinished downloads included. */
  readonly bytes: number;
  /** When it was pulled, or last worked on. */
  readonly changed: Date;
}

/**
 * Where a model's files are: `models/OWNER/NAME@REVISION/`, and there one folder for each of the repository's models, so
 * that they come and go by themselves.
 */
export function modelDir(root: string, name: ModelName): string {
  return join(repoDir(root, name), name.file === null ? SAFETENSORS : encodeURIComponent(name.file));
}

function repoDir(root: string, { owner, repo, revision }: ModelName): string {
  return join(modelsDir(root), owner, `${repo}@${encodeURIComponent(revision)}`);
}

function modelsDir(root: string): string {
  return join(root, "models");
}

/** All models of a cache, by name. */
export async function cachedModels(root: string): Promise<CachedModel[]> {
  const models: CachedModel[] = [];
  for (const owner of await folders(modelsDir(root))) {
    for (const repo of await folders(join(modelsDir(root), owner))) {
      const name = nameOf(owner, repo);
      if (name !== null) models.push(...(await cachedOf(root, name)));
    }
  }
  return models.sort((a, b) => (formatModelName(a.name) < formatModelName(b.name) ? -1 : 1));
}

/** The models of a repository at a revision. */
export async function cachedOf(root: string, name: ModelName): Promise<CachedModel[]> {
  const models: CachedModel[] = [];
  for (const folder of await folders(repoDir(root, name))) {
    const file = folder === SAFETENSORS ? null : decoded(folder);
    if (file !== null && !/\.gguf$/i.test(file)) continue;
    models.push(await look({ ...name, file }, join(repoDir(root, name), folder)));
  }
  return models;
}

/** Delete a model's files, and the folders that are left empty. */
export async function removeModel({ dir }: CachedModel): Promise<void> {
  try {
    await rm(dir, { recursive: true, force: true });
  } catch (cause) {
    throw systemError(dir, cause);
  }
}

/** Delete the folders of a model's repository and owner where nothing is left in them. */
export async function removeEmptyParents({ dir }: CachedModel): Promise<void> {
  await rmdir(dirname(dir)).catch(() => undefined);
  await rmdir(dirname(dirname(dir))).catch(() => undefined);
}

async function look(name: ModelName, dir: string): Promise<CachedModel> {
  const manifest = await readManifest(dir);
  const sizes = new Map<string, number>();
  let changed = new Date(0);
  for (const file of await files(dir)) {
    // A download under way may have renamed it.
    const found = await stat(join(dir, file)).catch(() => null);
    if (found === null) continue;
    if (file !== MANIFEST) sizes.set(file, found.size);
    if (found.mtime > changed) changed = found.mtime;
  }
  const whole = manifest?.files.every((file) => sizes.get(file.name) === file.bytes) === true;
  const first = name.file === null ? dir : join(dir, manifest?.files[0]?.name ?? "");
  return {
    name,
    dir,
    format: name.file === null ? "safetensors" : "gguf",
    place: whole ? first : null,
    bytes: [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0),
    changed: whole ? new Date(manifest.pulledAt) : changed,
  };
}

/** `OWNER`, `NAME@REVISION` as folders have them. */
function nameOf(owner: string, folder: string): ModelName | null {
  const [, repo = "", revision = ""] = /^([^@]+)@(.+)$/.exec(folder) ?? [];
  return parseModelName(`${owner}/${repo}@${decoded(revision) ?? ""}`);
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

/** Folders of their own: a link may lead out of the cache. */
async function folders(dir: string): Promise<string[]> {
  return (await entries(dir)).filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

async function files(dir: string): Promise<string[]> {
  return (await entries(dir)).filter((entry) => entry.isFile()).map(({ name }) => name);
}

async function entries(dir: string): Promise<{ name: string; isDirectory(): boolean; isFile(): boolean }[]> {
  try {
    return await readdir(dir, { withFileTypes: true });
  } catch (cause) {
    if (isMissing(cause)) return [];
    throw systemError(dir, cause);
  }
}
