import { createServer, type Server } from "node:http";

import { serve } from "@hono/node-server";
import { WinnowError } from "@winnow/core-tensor";
import type { HeadPlan } from "@winnow/profiler";
import type { Model, SessionOptions } from "@winnow/runtime";
import { pino, type Logger } from "pino";

import { createApp, lineRunner } from "./app";
import { openBatches, type Batches } from "./batches";
import type { ApiKeys } from "./http/api-keys";
import { RateLimit } from "./http/rate-limit";
import { Deployment } from "./serve/deployment";
import { warmUp } from "./serve/warm-up";

/** How a server is run; everything has a default. */
export interface ServerOptions {
  /** Default: 127.0.0.1, which nobody reaches from elsewhere. */
  readonly host?: string | undefined;
  /** Default: 8080; 0 for any that is free. */
  readonly port?: number | undefined;
  /** How caches are cut unless a request says otherwise. */
  readonly session?: SessionOptions | undefined;
  /** Plans that requests may name. */
  readonly plans?: ReadonlyMap<string, HeadPlan> | undefined;
  /** Requests that may wait to be read; more are answered 429. Default: 256. */
  readonly maxQueue?: number | undefined;
  /** Milliseconds that a request may take from its arrival. Default: ten minutes. */
  readonly deadlineMs?: number | undefined;
  /** Who may use it; by default everybody who reaches it. */
  readonly keys?: ApiKeys | undefined;
  /** Requests a minute of each key. Default: no limit. */
  readonly requestsPerMinute?: number | undefined;
  /** Default: 4 MiB. */
  readonly maxBodyBytes?: number | undefined;
  /** Origins whose pages may use the server, such as `https://chat.example`. Default: none but its own. */
  readonly corsOrigins?: readonly string[] | undefined;
  /** Where batches are shared with other servers; by default they are this process's own. */
  readonly redisUrl?: string | undefined;
  /** Default: no log. */
  readonly log?: Logger | undefined;
}

const MAX_HEADER_BYTES = 16 * 1024;
/** Milliseconds in which a request's headers, and all of it, have to arrive. */
const HEADERS_MS = 10_000;
const REQUEST_MS = 60_000;
/** Proxies keep connections for a minute, and would send requests into one that is being closed. */
const KEEP_ALIVE_MS = 75_000;

/** A server that is running. */
export interface RunningServer {
  readonly url: string;
  /**
   * Stop accepting, wait for what is under way, cut it off at a deadline (default: 30 s), and dispose of the model.
   */
  close(deadlineMs?: number): Promise<void>;
}

/**
 * Serve a model. The server disposes of it.
 *
 * @param modelId its name for clients.
 * @throws WinnowError `usage` when the address cannot be listened to or Redis cannot be reached, `policy` or `plan` when the
 * defaults do not fit the model.
 * @example
 * ```ts
 * const model = await loadModel("models/demo", { kvBudgetBytes: 512 * 2 ** 20 });
 * const server = await startServer(model, "demo", { port: 0 });
 * console.log(server.url);
 * await server.close();
 * ```
 */
export async function startServer(model: Model, modelId: string, options: ServerOptions = {}): Promise<RunningServer> {
  const log = options.log ?? pino({ enabled: false });
  const host = options.host ?? "127.0.0.1";
  const deployment = new Deployment(model, {
    modelId,
    session: options.session ?? {},
    plans: options.plans ?? new Map(),
    maxQueue: options.maxQueue ?? 256,
    deadlineMs: options.deadlineMs ?? 600_000,
  });
  let batches: Batches | null = null;
  try {
    await warmUp(model, deployment.sessionOptions(null), (message) => {
      log.warn(message);
    });
    batches = await openBatches({
      ...(options.redisUrl === undefined ? {} : { redisUrl: options.redisUrl }),
      model: modelId,
      run: lineRunner(deployment, log),
      log: (message) => {
        log.warn(message);
      },
      note: (message) => {
        log.info(message);
      },
    });
    const app = createApp(deployment, {
      log,
      keys: options.keys ?? null,
      rateLimit: new RateLimit(options.requestsPerMinute ?? Infinity),
      maxBodyBytes: options.maxBodyBytes ?? 4 * 2 ** 20,
      corsOrigins: options.corsOrigins ?? [],
      isLocal: /^(127\.|::1$|localhost$)/.test(host),
      batches,
    });
    const { server, port } = await listen(app, host, options.port ?? 8080);
    return new Running(`http://${host.includes(":") ? `[${host}]` : host}:${port}`, server, deployment, batches);
  } catch (error) {
    await batches?.[Symbol.asyncDispose]();
    deployment[Symbol.dispose]();
    throw error;
  }
}

function listen(
  app: ReturnType<typeof createApp>,
  hostname: string,
  port: number,
): Promise<{ readonly server: Server; readonly port: number }> {
  return new Promise((resolve, reject) => {
    const server = serve(
      {
        fetch: app.fetch,
        hostname,
        port,
        createServer,
        serverOptions: {
          maxHeaderSize: MAX_HEADER_BYTES,
          headersTimeout: HEADERS_MS,
          requestTimeout: REQUEST_MS,
          keepAliveTimeout: KEEP_ALIVE_MS,
        },
      },
      (info) => {
        if (isHttpServer(server)) resolve({ server, port: info.port });
      },
    );
    server.on("error", (cause: NodeJS.ErrnoException) => {
      const reason =
        cause.code === "EADDRINUSE"
          ? "something else listens there"
          : cause.code === "EACCES"
            ? "that takes rights that this process does not have"
            : cause.message;
      reject(
        new WinnowError("usage", `cannot listen on ${hostname}:${port}: ${reason}; give another --host or --port`, {
          cause,
        }),
      );
    });
  });
}

function isHttpServer(server: object): server is Server {
  return "closeIdleConnections" in server;
}

class Running implements RunningServer {
  #closing: Promise<void> | null = null;

  constructor(
    readonly url: string,
    private readonly server: Server,
    private readonly deployment: Deployment,
    private readonly batches: Batches,
  ) {}

  close(deadlineMs = 30_000): Promise<void> {
    return (this.#closing ??= this.#close(deadlineMs));
  }

  async #close(deadlineMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.server.close(() => {
        resolve();
      });
    });
    this.server.closeIdleConnections();
    await Promise.all([this.deployment.workload.close(deadlineMs), this.batches[Symbol.asyncDispose]()]);
    // Answers have their last bytes to send; connections that stay open have nothing more to say.
    const rest = setTimeout(() => {
      this.server.closeAllConnections();
    }, 1000);
    this.server.closeIdleConnections();
    await closed;
    clearTimeout(rest);
    this.deployment[Symbol.dispose]();
  }
}
