import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { extname } from "node:path";

import type { Context } from "hono";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".woff2": "font/woff2",
};

/** For files whose names change with what is in them. */
export const FOR_EVER = "public, max-age=31536000, immutable";

/** A file of a page, in memory. */
export interface PageFile {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly type: string;
  readonly tag: string;
}

export interface Sending {
  /** The Content-Security-Policy. */
  readonly policy: string;
  /** The Cache-Control. */
  readonly caching: string;
}

/** @param name gives its type by its ending. */
export function pageFile(name: string, body: Uint8Array<ArrayBuffer>): PageFile {
  const tag = `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"`;
  return { body, type: TYPES[extname(name)] ?? "application/octet-stream", tag };
}

/** Null where it is not there. */
export function readPageFile(path: string): PageFile | null {
  try {
    return pageFile(path, new Uint8Array(readFileSync(path)));
  } catch {
    return null;
  }
}

export function sendPageFile(context: Context, { body, type, tag }: PageFile, { policy, caching }: Sending): Response {
  const headers = {
    "content-security-policy": policy,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": caching,
    etag: tag,
  };
  if (context.req.header("if-none-match") === tag) return context.body(null, 304, headers);
  return context.body(body, 200, { ...headers, "content-type": type });
}
