import { WinnowError } from "@winnow/core-tensor";
import { z } from "zod";

import type { Endpoint } from "./endpoint";
import type { ModelName } from "./model-name";
import { TransientError, expectGoingOn, persist, type Patience } from "./patience";
import { refusal } from "./refusal";
import type { RepoFile } from "./repo-file";
import { isInside } from "./safe-path";
import { StallWatch } from "./stall-watch";

/** A repository at one commit, so that all of its files belong together. */
export interface Snapshot {
  readonly name: ModelName;
  readonly commit: string;
}

/** An API's answer is held in memory: a page of a listing has about 200 bytes a file. */
const LARGEST_ANSWER_BYTES = 64e6;

/** A listing that goes on after this many pages of up to 1,000 files is not going to end. */
const MOST_PAGES = 1000;

const commitSchema = z.object({ sha: z.string().regex(/^[0-9a-f]{40}$/) });

const entrySchema = z.object({
  type: z.string(),
  path: z.string(),
  size: z.int().nonnegative(),
  oid: z.string().optional(),
  lfs: z.object({ oid: z.string().regex(/^[0-9a-f]{64}$/), size: z.int().nonnegative() }).optional(),
});

const gitOid = z.string().regex(/^[0-9a-f]{40}$/);

/**
 * A hub, asked through `@huggingface/hub`. Every request goes through here, so that the token reaches the hub alone, a silent
 * connection is noticed, and what may pass is tried again.
 */
export class HubClient {
  constructor(
    readonly endpoint: Endpoint,
    readonly patience: Patience,
    readonly signal: AbortSignal,
    /** Told in one line why something is tried again. */
    readonly onRetry: (reason: string) => void,
  ) {}

  /**
   * The commit that a name's revision is at.
   *
   * @throws WinnowError `file`
   */
  async snapshot(name: ModelName): Promise<Snapshot> {
    const what = repoOf(name);
    const { modelInfo } = await import("@huggingface/hub");
    const info: unknown = await this.#understood(what, (fetch) =>
      modelInfo({
        name: what,
        revision: name.revision,
        additionalFields: ["sha"],
        hubUrl: this.endpoint.url,
        fetch,
      }),
    );
    const found = commitSchema.safeParse(info);
    if (!found.success) throw this.#noHub(what, "names no commit");
    return { name, commit: found.data.sha };
  }

  /**
   * All files of a repository.
   *
   * @throws WinnowError `file` when the hub refuses, or lists what no repository can hold.
   */
  async list({ name, commit }: Snapshot): Promise<RepoFile[]> {
    const what = repoOf(name);
    const { listFiles } = await import("@huggingface/hub");
    const entries = await this.#understood(what, (fetch) => {
      const pages = listFiles({
        repo: { type: "model", name: what },
        recursive: true,
        revision: commit,
        hubUrl: this.endpoint.url,
        fetch,
      });
      return collect(pages);
    });
    return entries.flatMap((entry) => this.#repoFile(what, entry));
  }

  /** A listing's entry, unless it is a folder. */
  #repoFile(what: string, entry: unknown): RepoFile[] {
    const found = entrySchema.safeParse(entry);
    if (!found.success) throw this.#noHub(what, "lists files without a path, a size or a hash");
    const { type, path, size, oid, lfs } = found.data;
    if (!isInside(path)) throw this.#noHub(what, `lists ${JSON.stringify(path)}, which is outside of the repository`);
    if (type !== "file") return [];
    if (lfs !== undefined) return [{ path, bytes: lfs.size, digest: { kind: "sha256", hex: lfs.oid } }];
    if (!gitOid.safeParse(oid).success) throw this.#noHub(what, `lists ${JSON.stringify(path)} without a hash`);
    return [{ path, bytes: size, digest: { kind: "git", hex: oid ?? "" } }];
  }

  /**
   * Begin one answer with a file's bytes.
   *
   * The bytes are not read through the library: what it makes of a file takes a whole file for the rest of one, and turns
   * errors into strings.
   *
   * @param from the first byte wanted; a server may begin at 0 all the same.
   * @throws TransientError, WinnowError `file`
   */
  async open({ name, commit }: Snapshot, path: string, from: number, watch: StallWatch): Promise<Response> {
    const place = path.split("/").map(encodeURIComponent).join("/");
    const url = new URL(`${this.endpoint.url}/${repoOf(name)}/resolve/${commit}/${place}`);
    const headers = new Headers(from > 0 ? { range: `bytes=${from}-` } : {});
    const response = await this.#send(url, { headers }, watch);
    if (response.ok || response.status === 416) return response;
    throw refusal(`${repoOf(name)}, ${path}`, response, this.endpoint);
  }

  /** What the library makes of the hub's answers. @throws WinnowError */
  async #understood<T>(what: string, ask: (fetch: typeof globalThis.fetch) => Promise<T>): Promise<T> {
    let pages = 0;
    try {
      return await ask((input, init) => {
        pages++;
        if (pages > MOST_PAGES) throw this.#noHub(what, `lists files on more than ${MOST_PAGES} pages`);
        return this.#answer(what, new URL(input instanceof Request ? input.url : input), init ?? {});
      });
    } catch (error) {
      if (error instanceof WinnowError) throw error;
      throw this.#noHub(what, "answers in another form than a hub does", error);
    }
  }

  /** The whole answer of an API: JSON, complete and of bounded size. */
  #answer(what: string, url: URL, init: RequestInit): Promise<Response> {
    if (url.origin !== this.endpoint.origin) throw this.#noHub(what, `continues its listing at ${url.origin}`);
    return persist(what, this.patience, this.signal, this.onRetry, async () => {
      using watch = new StallWatch(this.patience.stallMs, this.signal);
      const response = await this.#send(url, init, watch);
      if (!response.ok) throw refusal(what, response, this.endpoint);
      const text = (await this.bytes(what, response, watch)).toString("utf8");
      if (!isJson(text)) throw this.#noHub(what, `answers with ${contentType(response)}, expected JSON`);
      return new Response(text, { headers: response.headers });
    });
  }

  /** A body that is small enough to be held. @throws TransientError, WinnowError `file` */
  async bytes(what: string, response: Response, watch: StallWatch): Promise<Buffer> {
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of this.chunks(response, watch)) {
      bytes += chunk.byteLength;
      if (bytes > LARGEST_ANSWER_BYTES) throw this.#noHub(what, `answers with more than ${LARGEST_ANSWER_BYTES} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  }

  /** A body's bytes as they come. @throws TransientError when the connection breaks or falls silent. */
  async *chunks(response: Response, watch: StallWatch): AsyncGenerator<Uint8Array> {
    const reader = response.body?.getReader();
    for (;;) {
      const next = await reader?.read().catch((error: unknown) => {
        throw this.#broken(error);
      });
      if (next?.value === undefined) return;
      watch.heard();
      yield next.value;
    }
  }

  async #send(url: URL, init: RequestInit, watch: StallWatch): Promise<Response> {
    const headers = new Headers(init.headers);
    // A compressed body has no ranges.
    headers.set("accept-encoding", "identity");
    headers.set("user-agent", "winnow");
    const { token, origin } = this.endpoint;
    // A redirect to another origin, where the hub keeps large files, goes without it: fetch sees to that.
    if (token !== null && url.origin === origin) headers.set("authorization", `Bearer ${token}`);
    try {
      const response = await fetch(url, { ...init, headers, signal: watch.signal });
      watch.heard();
      return response;
    } catch (error) {
      throw this.#broken(error);
    }
  }

  #broken(error: unknown): TransientError {
    expectGoingOn(this.signal);
    return error instanceof TransientError ? error : new TransientError(reasonOf(error), { cause: error });
  }

  #noHub(what: string, does: string, cause?: unknown): WinnowError {
    return new WinnowError("file", `${what}: ${this.endpoint.url} ${does}; check that HF_ENDPOINT is a hub`, { cause });
  }
}

export function repoOf({ owner, repo }: ModelName): string {
  return `${owner}/${repo}`;
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function contentType(response: Response): string {
  return response.headers.get("content-type")?.split(";")[0] ?? "something of no type";
}

/** What `fetch` found, without its own words for it: the cause has the system's. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : null;
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") return "the hub's name is not known (no network?)";
  if (code === "ECONNREFUSED") return "nothing answers at the hub's address";
  if (code === "ECONNRESET" || code === "UND_ERR_SOCKET") return "the connection was cut";
  return `the connection failed (${code ?? (cause instanceof Error ? cause.message : String(cause))})`.replaceAll(
    /\s+/g,
    " ",
  );
}
