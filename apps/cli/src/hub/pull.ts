import { mkdir, open, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";

import { WinnowError } from "@winnow/core-tensor";

import { cacheFolder, folderOf } from "./cache-folder";
import { chooseFiles } from "./choose-files";
import { download } from "./download";
import { Hub, type HubOptions } from "./hub";
import { formatRepo, type RepoName } from "./repo-name";

export interface PullOptions extends HubOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal | undefined;
  /** Called with bytes that are there of all that the model has. */
  readonly onBytes?: (done: number, total: number) => void;
  /** Called when a file is about to be got, unless it is there. */
  readonly onFile?: (path: string, bytes: number) => void;
}

/** Where a model is now. */
export interface Pulled {
  readonly folder: string;
  readonly bytes: number;
}

/**
 * Get a model from a hub into the cache folder; files that are there already, with the size that the hub says, stay.
 *
 * @throws WinnowError `file`, `usage`, `aborted`; what came until then is gone on from by the next pull.
 */
export async function pullModel(repo: RepoName, options: PullOptions = {}): Promise<Pulled> {
  const { env = process.env, signal, onBytes, onFile } = options;
  const hub = new Hub(env, options);
  const files = chooseFiles(await hub.list(repo, signal), repo.file, formatRepo(repo));
  const folder = folderOf(repo, cacheFolder(env));
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  await mkdir(folder, { recursive: true });
  const release = await lock(folder, formatRepo(repo));
  try {
    let before = 0;
    for (const file of files) {
      const target = join(folder, ...file.path.split("/"));
      const there = await stat(target).catch(() => null);
      if (there?.isFile() !== true || there.size !== file.bytes) {
        onFile?.(file.path, file.bytes);
        await download(hub, repo, file, target, { signal, onBytes: (bytes) => onBytes?.(before + bytes, total) });
      }
      before += file.bytes;
      onBytes?.(before, total);
    }
  } finally {
    await release();
  }
  return { folder, bytes: total };
}

/** Keep other processes from writing the same files; one that ended without tidying up does not count. */
async function lock(folder: string, what: string): Promise<() => Promise<void>> {
  const path = join(folder, ".pull.lock");
  for (let tries = 0; tries < 2; tries++) {
    try {
      const file = await open(path, "wx");
      await file.write(String(process.pid));
      await file.close();
      return () => rm(path, { force: true });
    } catch (error) {
      const owner = Number(await readFile(path, "utf8").catch(() => ""));
      if (isAlive(owner)) {
        throw new WinnowError("file", `${what} is being pulled already, by process ${owner}; wait for it`, {
          cause: error,
        });
      }
      await rm(path, { force: true });
    }
  }
  throw new WinnowError("file", `${path}: cannot be made; remove it and try again`);
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
