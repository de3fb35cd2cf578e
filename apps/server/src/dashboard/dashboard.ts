import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { Hono, type Context } from "hono";

/** Where the build puts the page: beside the bundle that this becomes a part of. */
const BUILT = fileURLToPath(new URL("./dashboard", import.meta.url));

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".woff2": "font/woff2",
};

/** Nothing from elsewhere, nothing inline, and in nobody's frame: text of a model can then not become a program. */
export const CONTENT_SECURITY_POLICY = [
  "default-src 'self'",
  "style-src 'self'",
  "script-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
  "form-action 'self'",
].join("; ");

const HEADERS = {
  "content-security-policy": CONTENT_SECURITY_POLICY,
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
} as const;

interface PageFile {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly type: string;
  readonly tag: string;
}

/**
 * The dashboard at `/` and its files below `/assets/`. They are read once, here: a request chooses among them and its
 * path never reaches the file system.
 *
 * @param folder where the page has been built.
 */
export function dashboardRoutes(folder = BUILT): Hono {
  const routes = new Hono();
  const index = readIfThere(join(folder, "index.html"));
  routes.get("/", (context) =>
    index === null
      ? context.text("The dashboard is not built: run `pnpm build` in apps/server. The API works without it.\n", 404)
      : // Its name stays while what it names changes with every build.
        send(context, index, "no-cache"),
  );
  for (const name of index === null ? [] : assetNames(folder)) {
    const file = readIfThere(join(folder, "assets", name));
    // The names carry a hash of what is in them.
    if (file !== null)
      routes.get(`/assets/${name}`, (context) => send(context, file, "public, max-age=31536000, immutable"));
  }
  return routes;
}

function assetNames(folder: string): string[] {
  try {
    const entries = readdirSync(join(folder, "assets"), { withFileTypes: true });
    // What a route's pattern would read something into is no name that Vite gives.
    return entries.filter((entry) => entry.isFile() && /^[\w.-]+$/.test(entry.name)).map(({ name }) => name);
  } catch {
    return [];
  }
}

function readIfThere(path: string): PageFile | null {
  try {
    const body = new Uint8Array(readFileSync(path));
    const tag = `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"`;
    return { body, type: TYPES[extname(path)] ?? "application/octet-stream", tag };
  } catch {
    return null;
  }
}

function send(context: Context, { body, type, tag }: PageFile, caching: string): Response {
  const headers = { ...HEADERS, "cache-control": caching, etag: tag };
  if (context.req.header("if-none-match") === tag) return context.body(null, 304, headers);
  return context.body(body, 200, { ...headers, "content-type": type });
}
