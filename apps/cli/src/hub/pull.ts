import { mkdir, readdir, rename, rm, stat, statfs } from "node:fs/promises";
import { join } from "node:path";

import { WinnowError } from "@winnow/core-tensor";
import { formatBytes } from "@winnow/profiler";

import { WholeFile } from "../output/whole-file";
import { modelDir } from "./cached-models";
import { chooseFiles, fileName, type ChosenModel } from "./choose-files";
import { download } from "./download";
import type { Endpoint } from "./endpoint";
import { HubClient, type Snapshot } from "./hub-client";
import { MANIFEST, readManifest, type Manifest } from "./manifest";
import { lockModel } from "./model-lock";
import { formatModelName, type ModelName } from "./model-name";
import { PATIENCE, persist, type Patience } from "./patience";
import { hashOf, sameDigest, type RepoFile } from "./repo-file";
import { StallWatch } from "./stall-watch";
import { systemError } from "./system-error";

export interface PullOptions {
  readonly endpoint: Endpoint;
  /** The cache's folder. */
  readonly root: string;
  readonly signal: AbortSignal;
  readonly patience?: Patience;
  /** Told in one line what is being waited for. */
  readonly onNote?: (line: string) => void;
  /** Told how many bytes of all that are needed are there. */
  readonly onProgress?: (done: number, total: number) => void;
}

export interface PulledModel {
  /** With the path of the GGUF model that was meant. */
  readonly name: ModelName;
  readonly dir: string;
  readonly bytes: number;
  /** Whether all of it was there before. */
  readonly upToDate: boolean;
}

/**
 * Get a model from a hub into the cache. Files come one after the other beside their places, and take them when all are
 * there and right; until then a model that was pulled before is left as it is. What came before a failure or an abort is
 * gone on with by the next call.
 *
 * @throws WinnowError `file` when the hub does not have or give the model, `aborted` by the signal.
 */
export async function pull(name: ModelName, options: PullOptions): Promise<PulledModel> {
  const { endpoint, root, signal, patience = PATIENCE, onNote = () => undefined } = options;
  const asking = new HubClient(endpoint, patience, signal, onNote);
  const snapshot = await asking.snapshot(name);
  const chosen = await chooseFiles(name, await asking.list(snapshot), (file) => readText(asking, snapshot, file));
  const dir = modelDir(root, chosen.name);
  await using held = await lockModel(dir, signal, () => {
    onNote(`another process is pulling ${formatModelName(chosen.name)}; waiting for it`);
  });
  const client = new HubClient(endpoint, patience, held.signal, onNote);
  const bytes = chosen.files.reduce((sum, file) => sum + file.bytes, 0);
  const before = await readManifest(dir);
  const missing = await missingFiles(dir, chosen, before);
  if (before !== null && missing.length === 0 && before.files.length === chosen.files.length) {
    return { name: chosen.name, dir, bytes, upToDate: true };
  }
  await mkdir(dir, { recursive: true }).catch((cause: unknown) => {
    throw systemError(dir, cause);
  });
  await expectSpace(dir, missing);
  let done = bytes - missing.reduce((sum, file) => sum + file.bytes, 0);
  for (const file of missing) {
    await download(client, snapshot, file, join(dir, partName(file)), (there) =>
      options.onProgress?.(done + there, bytes),
    );
    done += file.bytes;
  }
  await settle(dir, snapshot, chosen, missing);
  return { name: chosen.name, dir, bytes, upToDate: false };
}

/** A part's name tells what it is a part of: where the hub's file changes, another part is begun. */
function partName({ path, digest }: RepoFile): string {
  return `${fileName(path)}.${digest.hex.slice(0, 16)}.part`;
}

/** The files that are not there as the repository has them. */
async function missingFiles(dir: string, { files }: ChosenModel, manifest: Manifest | null): Promise<RepoFile[]> {
  const missing: RepoFile[] = [];
  for (const file of files) {
    const name = fileName(file.path);
    const known = manifest?.files.find((other) => other.name === name);
    const found = await stat(join(dir, name)).catch(() => null);
    const there = found?.isFile() === true && found.size === file.bytes;
    if (there && known !== undefined && sameDigest(known.digest, file.digest)) continue;
    missing.push(file);
    // Put there by a process that ended before it could say so: a part that may be whole.
    if (there && manifest === null) await rename(join(dir, name), join(dir, partName(file)));
  }
  return missing;
}

/** @throws WinnowError `file` before anything is downloaded that the disk has no room for. */
async function expectSpace(dir: string, missing: readonly RepoFile[]): Promise<void> {
  const disk = await statfs(dir).catch(() => null);
  if (disk === null) return;
  let needed = 0;
  for (const file of missing) {
    const part = await stat(join(dir, partName(file))).catch(() => null);
    needed += Math.max(0, file.bytes - (part?.size ?? 0));
  }
  const free = disk.bavail * disk.bsize;
  if (needed > free) {
    throw new WinnowError(
      "file",
      `${dir}: ${formatBytes(needed)} are needed and ${formatBytes(free)} are free; free space, or set WINNOW_CACHE to a folder on another disk`,
    );
  }
}

/** Put new files into their places, all of them at once as nearly as a file system can. */
async function settle(
  dir: string,
  { commit }: Snapshot,
  { files }: ChosenModel,
  fresh: readonly RepoFile[],
): Promise<void> {
  try {
    // Without it a mixture of old and new files is not taken for a model.
    await rm(join(dir, MANIFEST), { force: true });
    for (const file of fresh) await rename(join(dir, partName(file)), join(dir, fileName(file.path)));
    const names = new Set(files.map(({ path }) => fileName(path)));
    for (const name of await readdir(dir)) {
      if (!names.has(name)) await rm(join(dir, name), { force: true, recursive: true });
    }
    const manifest = {
      version: 1,
      commit,
      pulledAt: new Date().toISOString(),
      files: files.map(({ path, bytes, digest }) => ({ name: fileName(path), bytes, digest })),
    };
    await (await WholeFile.at(join(dir, MANIFEST))).write(`${JSON.stringify(manifest, null, 2)}\n`);
  } catch (cause) {
    throw systemError(dir, cause);
  }
}

/** A small file's text, checked as all files are. */
async function readText(client: HubClient, snapshot: Snapshot, file: RepoFile): Promise<string> {
  const what = `${formatModelName({ ...snapshot.name, file: null })}, ${file.path}`;
  return persist(what, client.patience, client.signal, client.onRetry, async () => {
    using watch = new StallWatch(client.patience.stallMs, client.signal);
    const response = await client.open(snapshot, file.path, 0, watch);
    const bytes = await client.bytes(what, response, watch);
    if (hashOf(file).update(bytes).digest("hex") === file.digest.hex) return bytes.toString("utf8");
    throw new WinnowError("file", `${what}: what came has another hash than the hub lists; try again`);
  });
}
