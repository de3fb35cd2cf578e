import { once } from "node:events";
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

/** A server that stands for `winnow serve`: it says who it is. */
export interface Replica extends AsyncDisposable {
  readonly port: number;
  /** Sends the second half of a stream that waits for it. */
  release(): void;
}

/**
 * Answers every request with the replica's name, and with the name that it was called by; to `/stream` it sends one event, and the other when it is released.
 *
 * @param port any free one by default
 */
export async function startReplica(name: string, port = 0): Promise<Replica> {
  let release = (): void => undefined;
  const server = createServer((request, response) => {
    const answer = async (): Promise<void> => {
      let bytes = 0;
      request.on("data", (chunk: Buffer) => (bytes += chunk.length));
      await once(request, "end");
      if (request.url !== "/stream") {
        response.setHeader("content-type", "application/json");
        response.end(JSON.stringify({ name, bytes, url: request.url, host: request.headers.host }));
        return;
      }
      response.setHeader("content-type", "text/event-stream");
      response.write("data: first\n\n");
      await Promise.race([
        new Promise<void>((resolve) => (release = resolve)),
        sleep(10_000, undefined, { ref: false }),
      ]);
      response.end("data: second\n\n");
    };
    answer().catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error(`no port: ${String(address)}`);
  return {
    port: address.port,
    release: () => {
      release();
    },
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}
