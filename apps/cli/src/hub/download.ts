import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";

import { WinnowError } from "@winnow/core-tensor";

import { StalledError, type Hub } from "./hub";
import type { RemoteFile } from "./remote-file";
import { formatRepo, type RepoName } from "./repo-name";

export interface DownloadOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called with the bytes of the file that are there, those of an earlier try included. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
}

/**
 * Get a file, going on from where an earlier try ended. It is at `target` only once its size and hash are those that the
 * listing said; until then it is beside it, as `….part`.
 *
 * @throws WinnowError `file` where the hub does not give it, or gives something else; `aborted`.
 */
export async function download(
  hub: Hub,
  repo: RepoName,
  file: RemoteFile,
  target: string,
  { signal, onBytes }: DownloadOptions,
): Promise<void> {
  const what = `${formatRepo(repo)}: ${file.path}`;
  // By its hash too: another version of the file begins anew.
  const part = `${target}.${(file.hash?.hex ?? "any").slice(0, 12)}.part`;
  await mkdir(dirname(target), { recursive: true });
  await hub.retried(what, signal, async () => {
    await append(hub, repo, file, part, { signal, onBytes });
    const { size } = await stat(part);
    // A connection may end early and look as if all had come.
    if (size < file.bytes) throw new StalledError(`${what} ended at byte ${size} of ${file.bytes}`);
  });
  const { size } = await stat(part);
  if (size !== file.bytes) {
    await rm(part, { force: true });
    throw new WinnowError("file", `${what}: the hub sent ${size} bytes, and its listing said ${file.bytes}; try again`);
  }
  const found = await hashOf(part, file);
  if (found !== null && found !== file.hash?.hex) {
    await rm(part, { force: true });
    throw new WinnowError(
      "file",
      `${what}: its content hashes to ${found}, and the hub's listing said ${file.hash?.hex ?? ""}; try again`,
    );
  }
  await rename(part, target);
}

/** Add what is missing to a part; what the hub sends from the beginning begins it anew. */
async function append(
  hub: Hub,
  repo: RepoName,
  file: RemoteFile,
  part: string,
  { signal, onBytes }: DownloadOptions,
): Promise<void> {
  const output = await open(part, "a");
  try {
    let at = (await output.stat()).size;
    onBytes?.(at);
    if (at >= file.bytes) return;
    const stall = new AbortController();
    const either = signal === undefined ? stall.signal : AbortSignal.any([signal, stall.signal]);
    const response = await hub.open(repo, file, at, either);
    if (at > 0 && !resumes(response, at)) {
      await output.truncate(0);
      at = 0;
    }
    const reader = response.body?.getReader();
    for (;;) {
      const timer = setTimeout(() => {
        stall.abort(new StalledError(`${file.path}: nothing came for ${hub.stallMs} ms`));
      }, hub.stallMs);
      const chunk = await reader?.read().finally(() => {
        clearTimeout(timer);
      });
      const bytes: unknown = chunk?.value;
      if (!(bytes instanceof Uint8Array)) return;
      // More than was announced is never written: it could fill the disk.
      if (at + bytes.length > file.bytes) {
        await output.truncate(0);
        await reader?.cancel();
        throw new WinnowError(
          "file",
          `${formatRepo(repo)}: ${file.path}: the hub sends more than the ${file.bytes} bytes that its listing said; try again`,
        );
      }
      for (let written = 0; written < bytes.length;) {
        written += (await output.write(bytes, written)).bytesWritten;
      }
      at += bytes.length;
      onBytes?.(at);
    }
  } finally {
    await output.close();
  }
}

/** Whether a response goes on from a byte. */
function resumes(response: Response, from: number): boolean {
  const range = /^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "");
  return response.status === 206 && Number(range?.[1]) === from;
}

/** What a file's content hashes to, in the way the listing had it; null where it had none. */
async function hashOf(path: string, { bytes, hash }: RemoteFile): Promise<string | null> {
  if (hash === null) return null;
  const digest: Hash = hash.kind === "sha256" ? createHash("sha256") : createHash("sha1").update(`blob ${bytes}\0`);
  for await (const chunk of createReadStream(path)) digest.update(chunk as Buffer);
  return digest.digest("hex");
}
