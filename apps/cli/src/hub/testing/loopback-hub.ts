import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";

/** A file of a repository, and how the hub holds it: large ones elsewhere, behind a redirect. */
export interface HubFile {
  readonly content: Buffer;
  readonly lfs: boolean;
}

/** A request that came, as a fault or a test sees it. */
export interface HubRequest {
  /** What was asked for: a commit, a page of a listing, a file at the hub, or its bytes where large ones are kept. */
  readonly what: "commit" | "listing" | "file" | "storage";
  /** The file's path, or the cursor of a listing's page. */
  readonly detail: string;
  readonly from: number;
  readonly authorization: string | undefined;
}

/** An answer other than the right one; `answer` gives that. */
export type Fault = (response: ServerResponse, answer: () => void, content: Buffer) => void;

/**
 * A small hub on loopback: the three answers of the Hugging Face hub that a download needs, in their own form, and a storage
 * of large files at another origin. Faults take the place of single answers.
 */
export class LoopbackHub implements AsyncDisposable {
  /** All that came, in order. */
  readonly requests: HubRequest[] = [];
  /** Asked for each request; null for the right answer. */
  fault: (request: HubRequest) => Fault | null = () => null;
  /** What a request must bring, if anything. */
  token: string | null = null;
  pageFiles = 1000;

  url = "";
  storageUrl = "";

  readonly #repos = new Map<string, { commit: string; files: ReadonlyMap<string, HubFile> }>();
  readonly #hub: Server;
  readonly #storage: Server;

  private constructor() {
    this.#hub = createServer((request, response) => {
      this.#answerHub(request, response);
    });
    this.#storage = createServer((request, response) => {
      this.#answerStorage(request, response);
    });
  }

  static async start(): Promise<LoopbackHub> {
    const hub = new LoopbackHub();
    hub.url = await listen(hub.#hub);
    hub.storageUrl = await listen(hub.#storage);
    return hub;
  }

  /** Publish a repository's files at a revision, in place of what was there. */
  publish(repo: string, files: Readonly<Record<string, Buffer | string>>, revision = "main"): void {
    const held = Object.entries(files).map(([path, content]) => {
      const bytes = Buffer.from(content);
      return [path, { content: bytes, lfs: /\.(?:safetensors|gguf|bin)$/.test(path) }] as const;
    });
    const hash = createHash("sha1").update(`${repo}@${revision}`);
    for (const [path, { content }] of held) hash.update(`\0${path}\0`).update(content);
    const commit = hash.digest("hex");
    const snapshot = { commit, files: new Map(held) };
    this.#repos.set(`${repo}@${revision}`, snapshot);
    this.#repos.set(`${repo}@${commit}`, snapshot);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      [this.#hub, this.#storage].map((server) => {
        server.closeAllConnections();
        return new Promise((resolve) => server.close(resolve));
      }),
    );
  }

  #answerHub(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? "/", this.url);
    const path = decodeURIComponent(url.pathname);
    const [, commitRepo, revision] = /^\/api\/models\/([^/]+\/[^/]+)\/revision\/(.+)$/.exec(path) ?? [];
    const [, listRepo, listed] = /^\/api\/models\/([^/]+\/[^/]+)\/tree\/(.+)$/.exec(path) ?? [];
    const [, fileRepo, at, file = ""] = /^\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(path) ?? [];
    const snapshot = this.#repos.get(`${commitRepo ?? listRepo ?? fileRepo ?? ""}@${revision ?? listed ?? at ?? ""}`);
    const cursor = url.searchParams.get("cursor") ?? "0";
    const held = snapshot?.files.get(file);
    const seen: HubRequest =
      commitRepo !== undefined
        ? { what: "commit", detail: revision ?? "", ...headersOf(request) }
        : listRepo !== undefined
          ? { what: "listing", detail: cursor, ...headersOf(request) }
          : { what: "file", detail: file, ...headersOf(request) };
    this.#serve(seen, response, held?.content ?? Buffer.alloc(0), () => {
      if (this.token !== null && seen.authorization !== `Bearer ${this.token}`) {
        response.writeHead(401, { "x-error-code": "RepoNotFound" }).end("Invalid username or password.");
      } else if (snapshot === undefined) {
        response.writeHead(404, { "x-error-code": "RepoNotFound" }).end("Repository not found");
      } else if (seen.what === "commit") {
        sendJson(response, {
          _id: "1",
          id: commitRepo,
          sha: snapshot.commit,
          lastModified: "2024-01-01T00:00:00.000Z",
        });
      } else if (seen.what === "listing") {
        const entries = listingOf(snapshot.files);
        const end = Number(cursor) + this.pageFiles;
        const next = new URL(url);
        next.searchParams.set("cursor", String(end));
        if (end < entries.length) response.setHeader("link", `<${next.href}>; rel="next"`);
        sendJson(response, entries.slice(Number(cursor), end));
      } else if (held === undefined) {
        response.writeHead(404, { "x-error-code": "EntryNotFound" }).end("Entry not found");
      } else if (held.lfs) {
        const place = `${this.storageUrl}/${encodeURIComponent(snapshot.commit)}/${encodeURIComponent(file)}?repo=${fileRepo ?? ""}`;
        response.writeHead(302, { location: place, "x-linked-size": held.content.length }).end();
      } else {
        sendRange(response, held.content, seen.from);
      }
    });
  }

  #answerStorage(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? "/", this.storageUrl);
    const [commit = "", path = ""] = url.pathname.slice(1).split("/").map(decodeURIComponent);
    const content = this.#repos.get(`${url.searchParams.get("repo") ?? ""}@${commit}`)?.files.get(path)?.content;
    const seen: HubRequest = { what: "storage", detail: path, ...headersOf(request) };
    this.#serve(seen, response, content ?? Buffer.alloc(0), () => {
      if (content === undefined) response.writeHead(404).end();
      else sendRange(response, content, seen.from);
    });
  }

  #serve(seen: HubRequest, response: ServerResponse, content: Buffer, answer: () => void): void {
    this.requests.push(seen);
    const fault = this.fault(seen);
    if (fault === null) answer();
    else fault(response, answer, content);
  }
}

function listingOf(files: ReadonlyMap<string, HubFile>): object[] {
  return [...files].map(([path, { content, lfs }]) => {
    const entry = { type: "file", path, size: content.length };
    if (!lfs) return { ...entry, oid: gitOid(content) };
    const pointer = Buffer.from(`oid sha256:${sha256(content)}`);
    return {
      ...entry,
      oid: gitOid(pointer),
      lfs: { oid: sha256(content), size: content.length, pointerSize: pointer.length },
    };
  });
}

export function sha256(content: Buffer): string {
  return createHash("sha256").update(content).digest("hex");
}

export function gitOid(content: Buffer): string {
  return createHash("sha1").update(`blob ${content.length}\0`).update(content).digest("hex");
}

function sendJson(response: ServerResponse, value: unknown): void {
  response.setHeader("content-type", "application/json").end(JSON.stringify(value));
}

export function sendRange(response: ServerResponse, content: Buffer, from: number): void {
  if (from === 0) {
    response.writeHead(200, { "content-length": content.length }).end(content);
  } else if (from >= content.length) {
    response.writeHead(416, { "content-range": `bytes */${content.length}` }).end();
  } else {
    const range = `bytes ${from}-${content.length - 1}/${content.length}`;
    response
      .writeHead(206, { "content-length": content.length - from, "content-range": range })
      .end(content.subarray(from));
  }
}

function headersOf({ headers }: IncomingMessage): Pick<HubRequest, "from" | "authorization"> {
  return {
    from: Number(/^bytes=(\d+)-$/.exec(headers.range ?? "")?.[1] ?? 0),
    authorization: headers.authorization,
  };
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the hub does not listen");
  return `http://127.0.0.1:${address.port}`;
}
