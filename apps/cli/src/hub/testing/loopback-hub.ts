import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** Answers a request instead of the hub; false to let the hub answer. */
export type Misbehaviour = (request: IncomingMessage, response: ServerResponse) => boolean;

/** A hub on loopback with one repository, `owner/name`. */
export class LoopbackHub implements AsyncDisposable {
  /** Requests as they came: the path, and the headers that matter. */
  readonly requests: { readonly path: string; readonly range: string | null; readonly token: string | null }[] = [];
  misbehave: Misbehaviour = () => false;
  /** What the listing says, after it was made as it should be. */
  changeListing: (entries: Record<string, unknown>[]) => unknown = (entries) => entries;
  readonly #server: Server;

  private constructor(
    readonly files: Map<string, Uint8Array>,
    private readonly pageSize: number,
  ) {
    this.#server = createServer((request, response) => {
      const { authorization = null, range = null } = request.headers;
      this.requests.push({ path: request.url ?? "", range, token: authorization });
      if (!this.misbehave(request, response)) this.#answer(request, response);
    });
  }

  /** @param pageSize entries of a page of the listing. */
  static async start(files: Readonly<Record<string, string | Uint8Array>>, pageSize = 1000): Promise<LoopbackHub> {
    const all = Object.entries(files).map(([path, content]) => [path, Buffer.from(content)] as const);
    const hub = new LoopbackHub(new Map(all), pageSize);
    await new Promise<void>((resolve) => hub.#server.listen(0, "127.0.0.1", resolve));
    return hub;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? "", this.url);
    if (url.pathname === "/api/models/owner/name/tree/main") {
      this.#list(Number(url.searchParams.get("cursor") ?? 0), response);
      return;
    }
    const [, path = ""] = /^\/owner\/name\/resolve\/main\/(.+)$/.exec(decodeURIComponent(url.pathname)) ?? [];
    const content = this.files.get(path);
    if (content === undefined) {
      response.writeHead(404).end();
      return;
    }
    this.send(request, response, content);
  }

  /** A file, or the range of it that is asked for. */
  send(request: IncomingMessage, response: ServerResponse, content: Uint8Array): void {
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
    const range = { "content-range": `bytes ${from}-${content.length - 1}/${content.length}` };
    response.writeHead(from > 0 ? 206 : 200, from > 0 ? range : {}).end(content.subarray(from));
  }

  #list(cursor: number, response: ServerResponse): void {
    const entries = [...this.files].slice(cursor, cursor + this.pageSize).map(([path, content]) => {
      const isLarge = /\.(safetensors|gguf)$/.test(path);
      const sha256 = createHash("sha256").update(content).digest("hex");
      const oid = createHash("sha1").update(`blob ${content.length}\0`).update(content).digest("hex");
      const lfs = { oid: sha256, size: content.length, pointerSize: 134 };
      return { type: "file", path, size: content.length, oid, ...(isLarge ? { lfs } : {}) };
    });
    const next = cursor + this.pageSize;
    const link = `<${this.url}/api/models/owner/name/tree/main?recursive=true&expand=false&cursor=${next}>; rel="next"`;
    response
      .writeHead(200, { "content-type": "application/json", ...(next < this.files.size ? { link } : {}) })
      .end(JSON.stringify(this.changeListing(entries)));
  }
}
