import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";

import { WinnowError } from "@winnow/core-tensor";

import { cacheFolder, folderOf } from "./cache-folder";
import { hasTag } from "./choose-files";
import { formatRepo, parseRepoName, type RepoName } from "./repo-name";

/** A model in the cache folder. */
export interface CachedModel {
  /** As it is named: `owner/name`, with a file where the repository has several models. */
  readonly name: string;
  readonly folder: string;
  readonly format: "safetensors" | "gguf" | "incomplete";
  readonly bytes: number;
  /** When its newest file came. */
  readonly pulled: Date;
}

interface CachedFile {
  readonly path: string;
  readonly bytes: number;
  readonly changed: Date;
}

/** All models in the cache folder, by name. */
export async function cachedModels(env: NodeJS.ProcessEnv = process.env): Promise<CachedModel[]> {
  const root = join(cacheFolder(env), "models");
  const models: CachedModel[] = [];
  for (const owner of await namesIn(root)) {
    for (const name of await namesIn(join(root, owner))) {
      const folder = join(root, owner, name);
      const files = await filesIn(folder);
      if (files.length > 0) models.push(modelOf(`${owner}/${name.replaceAll("%2F", "/")}`, folder, files));
    }
  }
  return models.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * Remove a model from the cache folder.
 *
 * @returns bytes that are free again.
 * @throws WinnowError `usage` where there is none of that name.
 */
export async function removeModel(text: string, env: NodeJS.ProcessEnv = process.env): Promise<number> {
  const repo = parseRepoName(text);
  const folder = repo === null ? null : folderOf(repo, cacheFolder(env));
  const files = folder === null ? [] : await filesIn(folder);
  const wanted = repo?.file ?? null;
  const doomed = wanted === null ? files : files.filter(({ path }) => path === wanted || hasTag(path, wanted));
  if (folder === null || doomed.length === 0) {
    throw new WinnowError("usage", `there is no pulled model "${text}"; winnow models lists them`);
  }
  for (const { path } of doomed) await rm(join(folder, path), { force: true });
  if (doomed.length === files.length) await rm(folder, { recursive: true, force: true });
  return doomed.reduce((sum, { bytes }) => sum + bytes, 0);
}

/**
 * Where a pulled model can be loaded from: its folder, or a GGUF file in it.
 *
 * @throws WinnowError `usage` where it is not there, or several are meant.
 */
export async function cachedPlace(repo: RepoName, env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const folder = folderOf(repo, cacheFolder(env));
  const files = await filesIn(folder);
  const { file } = repo;
  const name = `${formatRepo(repo)}${file === null ? "" : `:${file}`}`;
  const isComplete = (wanted: string): boolean => files.some(({ path }) => path === wanted);
  if (file === null && isComplete("config.json")) return folder;
  // Of a model in parts, the first one is opened.
  const firsts = files.filter(({ path }) => /\.gguf$/i.test(path) && !/-(?!00001)\d{5}-of-\d{5}\.gguf$/i.test(path));
  const meant = file === null ? firsts : firsts.filter(({ path }) => path === file || hasTag(path, file));
  const [only] = meant;
  if (only === undefined) {
    throw new WinnowError(
      "usage",
      `${name}: no such file or directory, and no pulled model; winnow pull ${name} gets it`,
    );
  }
  if (meant.length > 1) {
    const names = meant.map(({ path }) => `${formatRepo(repo)}:${path}`).join(", ");
    throw new WinnowError("usage", `${name} has several models; name one of ${names}`);
  }
  return join(folder, only.path);
}

function modelOf(name: string, folder: string, files: readonly CachedFile[]): CachedModel {
  const has = (pattern: RegExp): boolean => files.some(({ path }) => pattern.test(path));
  const format = has(/\.part$/)
    ? "incomplete"
    : has(/\.gguf$/i)
      ? "gguf"
      : has(/^config\.json$/) && has(/\.safetensors$/)
        ? "safetensors"
        : "incomplete";
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const pulled = new Date(Math.max(...files.map(({ changed }) => changed.getTime())));
  return { name, folder, format, bytes, pulled };
}

async function namesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

/** Files in a folder and those within it, but for locks. */
async function filesIn(folder: string): Promise<CachedFile[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const files: CachedFile[] = [];
  for (const entry of entries) {
    if (!entry.isFile() || entry.name === ".pull.lock") continue;
    const full = join(entry.parentPath, entry.name);
    const { size, mtime } = await stat(full);
    files.push({ path: full.slice(folder.length + 1).replaceAll("\\", "/"), bytes: size, changed: mtime });
  }
  return files;
}
