import { setTimeout as wait } from "node:timers/promises";

import { listFiles } from "@huggingface/hub";
import { WinnowError } from "@winnow/core-tensor";

import type { RemoteFile } from "./remote-file";
import { formatRepo, type RepoName } from "./repo-name";

const DEFAULT_ENDPOINT = "https://huggingface.co";

export interface HubOptions {
  /** Milliseconds without a byte after which a connection is given up. Default: 30,000. */
  readonly stallMs?: number;
  /** Milliseconds to wait before the first retry; twice as many before each further one. Default: 1,000. */
  readonly retryMs?: number;
  /** How often a request is tried at most. Default: 5. */
  readonly tries?: number;
}

/** A hub of models: huggingface.co, or what `HF_ENDPOINT` names. */
export class Hub {
  readonly stallMs: number;
  readonly retryMs: number;
  readonly tries: number;
  readonly #endpoint: URL;
  readonly #token: string | null;

  /**
   * @param env `HF_ENDPOINT`, and `HF_TOKEN` for models that are not public.
   * @throws WinnowError `usage` for an endpoint that is no URL of the web.
   */
  constructor(env: NodeJS.ProcessEnv, { stallMs = 30_000, retryMs = 1_000, tries = 5 }: HubOptions = {}) {
    const { HF_ENDPOINT: endpoint, HF_TOKEN: token } = env;
    this.#endpoint = endpointOf(endpoint === undefined || endpoint === "" ? DEFAULT_ENDPOINT : endpoint);
    this.#token = token === undefined || token.trim() === "" ? null : token.trim();
    this.stallMs = stallMs;
    this.retryMs = retryMs;
    this.tries = tries;
  }

  /**
   * All files of a repository.
   *
   * @throws WinnowError `file` where there is none, it may not be read, or the hub does not answer as one.
   */
  async list(repo: RepoName, signal: AbortSignal | undefined): Promise<RemoteFile[]> {
    const what = `${this.#endpoint.host}: ${formatRepo(repo)}`;
    return this.retried(what, signal, async () => {
      const inTime = AbortSignal.timeout(this.stallMs);
      const either = signal === undefined ? inTime : AbortSignal.any([signal, inTime]);
      const files: RemoteFile[] = [];
      const entries = listFiles({
        repo: { type: "model", name: `${repo.owner}/${repo.name}` },
        recursive: true,
        revision: encodeURIComponent(repo.revision),
        hubUrl: this.#endpoint.href.replace(/\/$/, ""),
        fetch: async (url, init) => this.#checked(await this.fetch(urlOf(url), init?.headers, either), what),
      });
      try {
        for await (const entry of entries) if (entry.type === "file") files.push(remoteFile(entry, what));
      } catch (error) {
        if (error instanceof WinnowError || isNetworkFailure(error)) throw error;
        throw new WinnowError("file", `${what}: the answer is no listing of files; is HF_ENDPOINT a hub?`, {
          cause: error,
        });
      }
      return files;
    });
  }

  /** Begin to read a file from a byte on. */
  async open(repo: RepoName, { path }: RemoteFile, from: number, signal: AbortSignal): Promise<Response> {
    const place = path.split("/").map(encodeURIComponent).join("/");
    const url = new URL(
      `${repo.owner}/${repo.name}/resolve/${encodeURIComponent(repo.revision)}/${place}`,
      this.#endpoint.href.endsWith("/") ? this.#endpoint : `${this.#endpoint.href}/`,
    );
    const headers = { "accept-encoding": "identity", ...(from > 0 ? { range: `bytes=${from}-` } : {}) };
    return this.#checked(
      await this.fetch(url, headers, signal),
      `${this.#endpoint.host}: ${formatRepo(repo)}: ${path}`,
    );
  }

  /**
   * A request with the token where it goes to the hub itself, and without it wherever the hub leads. It is given up where no
   * answer begins in time.
   */
  async fetch(url: URL, headers: RequestInit["headers"], signal: AbortSignal | undefined): Promise<Response> {
    const all = new Headers(headers);
    if (this.#token !== null && url.origin === this.#endpoint.origin) all.set("authorization", `Bearer ${this.#token}`);
    const stall = new AbortController();
    const timer = setTimeout(() => {
      stall.abort(new StalledError(`${url.host} did not answer within ${this.stallMs} ms`));
    }, this.stallMs);
    try {
      // Redirects to another origin lose the authorization (Fetch standard, "HTTP-redirect fetch").
      return await fetch(url, {
        headers: all,
        signal: signal === undefined ? stall.signal : AbortSignal.any([signal, stall.signal]),
      });
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Try a request again where that may help: the network failed, or the hub is busy or broken.
   *
   * @param what names the request in messages.
   */
  async retried<T>(what: string, signal: AbortSignal | undefined, request: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await request();
      } catch (error) {
        if (signal?.aborted === true) throw new WinnowError("aborted", `${what} was interrupted`, { cause: error });
        const busy = error instanceof BusyError ? error : null;
        if (busy === null && !isNetworkFailure(error)) throw error;
        if (tries >= this.tries) {
          throw new WinnowError(
            "file",
            `${what}: ${busy?.message ?? reasonOf(error)}, ${tries} times; try again later`,
            {
              cause: error,
            },
          );
        }
        await wait(Math.max(busy?.waitMs ?? 0, this.retryMs * 2 ** (tries - 1)), undefined, { signal }).catch(
          () => undefined,
        );
      }
    }
  }

  /** @throws WinnowError, BusyError */
  #checked(response: Response, what: string): Response {
    const { status } = response;
    if (response.ok) return response;
    void response.body?.cancel();
    if (status === 429 || status >= 500) {
      const seconds = Number(response.headers.get("retry-after") ?? "");
      throw new BusyError(
        `answered ${status}`,
        Number.isFinite(seconds) ? Math.min(60, Math.max(0, seconds)) * 1000 : 0,
      );
    }
    const hint =
      status === 401 || status === 403
        ? this.#token === null
          ? "it is private, gated or not there; set HF_TOKEN to a token that may read it"
          : "the token in HF_TOKEN may not read it; ask for access on the model's page"
        : status === 404
          ? "there is nothing of that name; check it and the revision"
          : `answered ${status}`;
    throw new WinnowError("file", `${what}: ${hint}`);
  }
}

/** The hub asks to wait, or is broken. */
class BusyError extends Error {
  override readonly name = "BusyError";
  constructor(
    message: string,
    readonly waitMs: number,
  ) {
    super(message);
  }
}

/** Whether the connection failed, rather than what came over it. */
function isNetworkFailure(error: unknown): boolean {
  return (
    error instanceof BusyError ||
    error instanceof StalledError ||
    (error instanceof Error &&
      (error.name === "TimeoutError" || error.name === "TypeError" || error.name === "SocketError"))
  );
}

/** A connection over which nothing comes any more. */
export class StalledError extends Error {
  override readonly name = "StalledError";
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError" || error instanceof StalledError) return "sent nothing";
  const { cause } = error;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : null;
  return code === null ? "the connection broke" : `the connection failed (${code})`;
}

function endpointOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url !== null && (url.protocol === "https:" || url.protocol === "http:")) return url;
  throw new WinnowError("usage", `HF_ENDPOINT is "${text}"; expected a URL that begins with https:// or http://`);
}

function urlOf(url: Parameters<typeof fetch>[0]): URL {
  return new URL(url instanceof Request ? url.url : url);
}

/** @throws WinnowError `file` for a name that would lead out of the repository's folder. */
function remoteFile(
  { path, size, oid, lfs }: { path: unknown; size: unknown; oid?: unknown; lfs?: { oid: unknown; size: unknown } },
  what: string,
): RemoteFile {
  const bytes = lfs?.size ?? size;
  if (typeof path !== "string" || typeof bytes !== "number" || !Number.isSafeInteger(bytes) || bytes < 0) {
    throw new WinnowError("file", `${what}: the listing has a file without a name or a size`);
  }
  const isInside =
    path !== "" && !/^[/\\]|^[A-Za-z]:|[\\\p{Cc}]/u.test(path) && path.split("/").every((part) => !/^\.*$/.test(part));
  if (!isInside) {
    throw new WinnowError(
      "file",
      `${what}: the listing has a file called ${JSON.stringify(path)}, which leads elsewhere`,
    );
  }
  const sha256 = typeof lfs?.oid === "string" && /^[0-9a-f]{64}$/.test(lfs.oid) ? lfs.oid : null;
  const git = typeof oid === "string" && /^[0-9a-f]{40}$/.test(oid) ? oid : null;
  const hash =
    sha256 !== null
      ? ({ kind: "sha256", hex: sha256 } as const)
      : git !== null && lfs === undefined
        ? ({ kind: "git", hex: git } as const)
        : null;
  return { path, bytes, hash };
}
