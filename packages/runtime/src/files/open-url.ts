import { WinnowError } from "@winnow/core-tensor";

import type { RangedFile } from "./ranged-file";

/**
 * Ask a server for a file, or for a range of its bytes.
 *
 * @param range as the `Range` header has it, such as `bytes=0-7`.
 * @returns null where the server has no such file.
 * @throws WinnowError `file` when the server does not answer, or refuses.
 */
export async function request(url: string, range?: string): Promise<Response | null> {
  let response: Response;
  try {
    response = await fetch(url, range === undefined ? {} : { headers: { range } });
  } catch (cause) {
    throw unreachable(url, cause);
  }
  if (response.status === 404 || response.status === 410) return null;
  // Servers of single-page programs answer whatever is not there with their page, and no file of a model is one.
  if (response.ok && response.headers.get("content-type")?.startsWith("text/html") === true) return null;
  // 416 is the answer to a range of an empty file, and says how long the file is.
  if (response.ok || response.status === 416) return response;
  throw new WinnowError(
    "file",
    `${url}: the server answered ${response.status} ${response.statusText}`.trimEnd() + ", expected the file",
  );
}

/** A body's bytes. @throws WinnowError `file` when the connection breaks. */
export async function bytesOf(response: Response, url: string): Promise<Uint8Array> {
  try {
    return new Uint8Array(await response.arrayBuffer());
  } catch (cause) {
    throw unreachable(url, cause);
  }
}

/**
 * Open a file behind a URL. Its bytes are fetched as they are asked for; from a server that knows no ranges they are all
 * fetched now and held until {@link RangedFile.close}.
 *
 * @returns null where the server has no such file.
 * @throws WinnowError `file` when the server does not answer, refuses, or does not tell the file's size.
 */
export async function openUrl(url: string): Promise<RangedFile | null> {
  const response = await request(url, "bytes=0-0");
  if (response === null) return null;
  if (response.status === 200) return new HeldFile(url, await bytesOf(response, url));
  await response.body?.cancel();
  const size = /\/(\d+)$/.exec(response.headers.get("content-range") ?? "")?.[1];
  if (size === undefined) {
    throw new WinnowError(
      "file",
      `${url}: the server answers a range without its file's size, expected a Content-Range header; expose it (Access-Control-Expose-Headers), or serve the model beside the page`,
    );
  }
  return new FetchedFile(url, Number(size));
}

class FetchedFile implements RangedFile {
  constructor(
    readonly path: string,
    readonly size: number,
  ) {}

  async read(target: Uint8Array, position: number): Promise<void> {
    if (target.byteLength === 0) return;
    const response = await request(this.path, `bytes=${position}-${position + target.byteLength - 1}`);
    if (response?.status !== 206) {
      throw new WinnowError(
        "file",
        `${this.path}: the server answered ${response?.status ?? "that there is no such file"} for a range of bytes, expected 206; the file has changed since it was opened`,
      );
    }
    const done = await fill(target, response, this.path);
    if (done !== target.byteLength) {
      throw new WinnowError(
        "file",
        `${this.path}: ends at byte ${position + done}, expected ${target.byteLength - done} bytes more; the file has shrunk since it was opened`,
      );
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** The body's bytes into the target as they come, so that no second copy is ever held; as many as there are. */
async function fill(target: Uint8Array, response: Response, url: string): Promise<number> {
  const reader = response.body?.getReader();
  let done = 0;
  try {
    for (;;) {
      const chunk = await reader?.read();
      const bytes: unknown = chunk?.value;
      if (!(bytes instanceof Uint8Array)) return done;
      if (bytes.byteLength > target.byteLength - done) {
        await reader?.cancel();
        throw new WinnowError(
          "file",
          `${url}: the server sent more than ${target.byteLength} bytes for a range of them`,
        );
      }
      target.set(bytes, done);
      done += bytes.byteLength;
    }
  } catch (cause) {
    throw cause instanceof WinnowError ? cause : unreachable(url, cause);
  }
}

/** A file whose bytes came all at once. */
class HeldFile implements RangedFile {
  readonly size: number;
  #bytes: Uint8Array;

  constructor(
    readonly path: string,
    bytes: Uint8Array,
  ) {
    this.#bytes = bytes;
    this.size = bytes.byteLength;
  }

  read(target: Uint8Array, position: number): Promise<void> {
    const missing = position + target.byteLength - this.size;
    if (missing > 0) {
      return Promise.reject(
        new WinnowError("file", `${this.path}: ends at byte ${this.size}, expected ${missing} bytes more`),
      );
    }
    target.set(this.#bytes.subarray(position, position + target.byteLength));
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.#bytes = new Uint8Array();
    return Promise.resolve();
  }
}

function unreachable(url: string, cause: unknown): WinnowError {
  const reason = (cause instanceof Error ? cause.message : String(cause)).replaceAll(/\s+/g, " ");
  return new WinnowError(
    "file",
    `${url}: cannot be fetched (${reason}); check the address, the connection, and that its server lets this page read it`,
    { cause },
  );
}
