import type { MiddlewareHandler } from "hono";

import { ApiError } from "./api-error";
import type { ApiKeys } from "./api-keys";
import type { RateLimit } from "./rate-limit";

const MOST_DISCARDED_BYTES = 64 * 2 ** 20;

/** Lets nobody in without one of the keys, and says whose request it is. */
export function authentication(keys: ApiKeys | null): MiddlewareHandler {
  return async (c, next) => {
    if (keys === null) {
      c.set("owner", "");
      return next();
    }
    const [, key] = /^Bearer +(\S+)$/i.exec(c.req.header("authorization") ?? "") ?? [];
    const owner = key === undefined ? null : keys.nameOf(key);
    if (owner === null) {
      c.header("WWW-Authenticate", "Bearer");
      throw new ApiError(
        401,
        "authentication_error",
        key === undefined
          ? "there is no API key; send one as 'Authorization: Bearer KEY'"
          : "the API key is none of this server's",
        { code: "invalid_api_key" },
      );
    }
    c.set("owner", owner);
    return next();
  };
}

/** Refuses who asks for work too often; looking costs nothing, and the dashboard does it every second. */
export function rateLimiting(limit: RateLimit): MiddlewareHandler {
  return async (c, next) => {
    if (c.req.method === "GET") return next();
    const seconds = limit.take(c.var.owner);
    if (seconds > 0) {
      throw new ApiError(
        429,
        "rate_limit_error",
        `more than ${limit.perMinute} requests a minute; try again in ${seconds} s`,
        { code: "rate_limit_exceeded", retryAfterSeconds: seconds },
      );
    }
    return next();
  };
}

/**
 * Refuses bodies that are too large, and holds no more of them than is allowed. Up to a point the rest is read and let go:
 * who is still sending does not hear an answer.
 */
export function limitedBody(maxBytes: number): MiddlewareHandler {
  return async (c, next) => {
    if (Number(c.req.header("content-length") ?? NaN) <= maxBytes) return next();
    const body: AsyncIterable<Uint8Array> | null = c.req.raw.body;
    if (body === null) return next();
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of body) {
      size += chunk.length;
      if (size <= maxBytes) chunks.push(chunk);
      else chunks.length = 0;
      if (size > maxBytes + MOST_DISCARDED_BYTES) break;
    }
    if (size > maxBytes) {
      throw new ApiError(413, "invalid_request_error", `the body has more than ${maxBytes} bytes`, {
        code: "request_too_large",
      });
    }
    c.req.raw = new Request(c.req.raw, { body: Buffer.concat(chunks) });
    return next();
  };
}

/**
 * Refuses what pages of other origins send: browsers let them send forms, and requests without a body, unasked.
 *
 * @param origins of pages that may.
 */
export function foreignPages(origins: readonly string[]): MiddlewareHandler {
  return async (c, next) => {
    const origin = c.req.header("origin");
    const isOwn = origin === undefined || origins.includes(origin) || hostOf(origin) === c.req.header("host");
    if (!isOwn && c.req.method !== "GET") {
      throw new ApiError(
        403,
        "invalid_request_error",
        `pages of ${quoted(origin)} may not use this server; its operator can allow them (--cors)`,
      );
    }
    return next();
  };
}

/**
 * Refuses to be called by names that are not this machine's own. Somebody can have a name of theirs point to loopback, and
 * their page is then of this server's origin to a browser (DNS rebinding).
 *
 * @param origins by whose names it may be called besides.
 */
export function loopbackNames(origins: readonly string[]): MiddlewareHandler {
  const names = origins.map((origin) => new URL(origin).hostname);
  return async (c, next) => {
    const host = c.req.header("host") ?? "";
    const name = URL.canParse(`http://${host}`) ? new URL(`http://${host}`).hostname : null;
    const isOwn = name !== null && (/^(\[.*\]|\d+(\.\d+){3}|(.*\.)?localhost)$/.test(name) || names.includes(name));
    if (!isOwn) {
      throw new ApiError(
        403,
        "invalid_request_error",
        `this server listens on loopback, without keys, and is called ${quoted(host)}; its operator can allow the name ` +
          "(--cors http://NAME) or let in who has a key (--api-key-file)",
      );
    }
    return next();
  };
}

function hostOf(origin: string): string | null {
  return URL.canParse(origin) ? new URL(origin).host : null;
}

/** Refuses bodies of another type than one. */
export function bodiesOf(wanted: "application/json" | "multipart/form-data"): MiddlewareHandler {
  return async (c, next) => {
    const type = c.req.header("content-type") ?? "";
    const isEmpty = (c.req.header("content-length") ?? "0") === "0" && c.req.header("transfer-encoding") === undefined;
    if (c.req.method === "POST" && !(type === "" && isEmpty) && !BODY_TYPES[wanted].test(type)) {
      throw new ApiError(
        415,
        "invalid_request_error",
        `the content type is ${type === "" ? "missing" : quoted(type)}; expected ${wanted}`,
      );
    }
    return next();
  };
}

/** Just what hono reads as such. */
const BODY_TYPES = {
  "application/json": /^application\/([a-z-.]+\+)?json(;\s*[a-zA-Z0-9-]+=([^;]+))*$/,
  "multipart/form-data": /^multipart\/form-data(;\s?boundary=[a-zA-Z0-9'"()+_,\-./:=?]+)?$/,
};

function quoted(text: string): string {
  return `"${text.slice(0, 100)}"`;
}

/** What requests to one path are spared. */
export function except(path: string, handler: MiddlewareHandler): MiddlewareHandler {
  return (c, next) => (c.req.path === path ? next() : handler(c, next));
}
