import type { Hash } from "node:crypto";
import { open, type FileHandle } from "node:fs/promises";

import { WinnowError } from "@winnow/core-tensor";

import { repoOf, type HubClient, type Snapshot } from "./hub-client";
import { TransientError, expectGoingOn, persist } from "./patience";
import { hashOf, type RepoFile } from "./repo-file";
import { StallWatch } from "./stall-watch";
import { systemError } from "./system-error";

/** An attempt that brings fewer bytes has not brought the file forward: some servers send a little and hang up, for ever. */
const PROGRESS_BYTES = 2 ** 16;

/**
 * Bring a file's bytes into a part file, from where an earlier download of it stopped, and check them by size and hash.
 * However this ends, the part file can be gone on with.
 *
 * @param part a path at which there is nothing but what has come of this very file.
 * @param onBytes told how many bytes of the file are there.
 * @throws WinnowError `file` when the hub does not give the file, or another one than it lists; `aborted`.
 */
export async function download(
  client: HubClient,
  snapshot: Snapshot,
  file: RepoFile,
  part: string,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const handle = await open(part, "a+").catch((cause: unknown) => {
    throw systemError(part, cause);
  });
  await using _ = { [Symbol.asyncDispose]: () => handle.close() };
  const target = new PartFile(handle, part, file);
  await target.resume(client.signal, onBytes);
  const what = `${repoOf(snapshot.name)}, ${file.path}`;
  for (let again = false; ; again = true) {
    const resumed = target.bytes > 0;
    let answers = 0;
    await persist(what, client.patience, client.signal, client.onRetry, async () => {
      if (target.bytes === file.bytes) return;
      answers++;
      const before = target.bytes;
      try {
        await receive(client, snapshot, file, target, onBytes);
      } catch (error) {
        if (!(error instanceof TransientError)) throw error;
        throw new TransientError(error.message, {
          cause: error,
          retryAfterMs: error.retryAfterMs,
          progressed: target.bytes - before >= PROGRESS_BYTES,
        });
      }
    });
    if (target.digest() === file.digest.hex) {
      await target.flush();
      return;
    }
    await target.clear();
    onBytes(0);
    // Pieces of different downloads may not fit together; what came in one piece is what there is.
    if ((resumed || answers > 1) && !again) continue;
    throw new WinnowError(
      "file",
      `${what}: what came has another ${file.digest.kind === "git" ? "SHA-1" : "SHA-256"} than the hub lists, ${file.digest.hex}; it was damaged on the way or at the hub, try again`,
    );
  }
}

/** One answer's bytes. @throws TransientError when it ends early. */
async function receive(
  client: HubClient,
  snapshot: Snapshot,
  file: RepoFile,
  target: PartFile,
  onBytes: (bytes: number) => void,
): Promise<void> {
  using watch = new StallWatch(client.patience.stallMs, client.signal);
  const response = await client.open(snapshot, file.path, target.bytes, watch);
  const what = `${repoOf(snapshot.name)}, ${file.path}`;
  const answered = rangeOf(response);
  if (answered.from !== target.bytes) {
    // The server knows no ranges, or not this one.
    await target.clear();
    if (answered.from !== 0) throw new TransientError("the hub answered with another range of bytes than asked for");
  }
  if (answered.total !== null && answered.total !== file.bytes) {
    await target.clear();
    const type = response.headers.get("content-type") ?? "no type";
    throw new WinnowError(
      "file",
      `${what}: the hub sends ${answered.total} bytes of ${type}, and lists ${file.bytes}; it changed meanwhile, or something answers in its place: try again`,
    );
  }
  onBytes(target.bytes);
  for await (const chunk of client.chunks(response, watch)) {
    if (target.bytes + chunk.byteLength > file.bytes) {
      await target.clear();
      throw new WinnowError(
        "file",
        `${what}: the hub sends more than the ${file.bytes} bytes that it lists; try again`,
      );
    }
    await target.append(chunk);
    onBytes(target.bytes);
  }
  if (target.bytes < file.bytes) throw new TransientError(`the answer ended at byte ${target.bytes} of ${file.bytes}`);
}

/** What an answer holds: from which byte on, and how long the file is, where it says so. */
function rangeOf({ status, headers }: Response): { readonly from: number | null; readonly total: number | null } {
  if (status === 206) {
    const [, from, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers.get("content-range") ?? "") ?? [];
    return { from: from === undefined ? null : Number(from), total: numberOf(total) };
  }
  if (status === 200) return { from: 0, total: numberOf(headers.get("content-length") ?? undefined) };
  return { from: null, total: null };
}

function numberOf(text: string | undefined): number | null {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : null;
}

/** The bytes of a file that have come, and their hash. */
class PartFile {
  bytes = 0;
  #hash: Hash;

  constructor(
    private readonly handle: FileHandle,
    private readonly path: string,
    private readonly file: RepoFile,
  ) {
    this.#hash = hashOf(file);
  }

  /** Hash what an earlier download left. */
  async resume(signal: AbortSignal, onBytes: (bytes: number) => void): Promise<void> {
    const { size } = await this.#tried(() => this.handle.stat());
    if (size > this.file.bytes) return this.clear();
    const buffer = Buffer.alloc(2 ** 20);
    while (this.bytes < size) {
      expectGoingOn(signal);
      const { bytesRead } = await this.#tried(() => this.handle.read(buffer, 0, buffer.length, this.bytes));
      if (bytesRead === 0) return this.clear();
      this.#hash.update(buffer.subarray(0, bytesRead));
      this.bytes += bytesRead;
      onBytes(this.bytes);
    }
  }

  async append(chunk: Uint8Array): Promise<void> {
    await this.#tried(() => this.handle.appendFile(chunk));
    this.#hash.update(chunk);
    this.bytes += chunk.byteLength;
  }

  async clear(): Promise<void> {
    await this.#tried(() => this.handle.truncate(0));
    this.#hash = hashOf(this.file);
    this.bytes = 0;
  }

  /** In hexadecimal. The bytes before it are read no further. */
  digest(): string {
    return this.#hash.digest("hex");
  }

  async flush(): Promise<void> {
    await this.#tried(() => this.handle.sync());
  }

  async #tried<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      throw systemError(this.path, cause);
    }
  }
}
