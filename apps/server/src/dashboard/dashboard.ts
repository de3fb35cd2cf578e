import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { Hono } from "hono";

import { FOR_EVER, readPageFile, sendPageFile } from "../http/page-files";

/** Where the build puts the page: beside the bundle that this becomes a part of. */
const BUILT = fileURLToPath(new URL("./dashboard", import.meta.url));

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

/**
 * The dashboard at `/` and its files below `/assets/`. They are read once, here: a request chooses among them and its
 * path never reaches the file system.
 *
 * @param folder where the page has been built.
 */
export function dashboardRoutes(folder = BUILT): Hono {
  const routes = new Hono();
  const index = readPageFile(join(folder, "index.html"));
  routes.get("/", (context) =>
    index === null
      ? context.text("The dashboard is not built: run `pnpm build` in apps/server. The API works without it.\n", 404)
      : // Its name stays while what it names changes with every build.
        sendPageFile(context, index, { policy: CONTENT_SECURITY_POLICY, caching: "no-cache" }),
  );
  for (const name of index === null ? [] : assetNames(folder)) {
    const file = readPageFile(join(folder, "assets", name));
    // The names carry a hash of what is in them.
    if (file !== null)
      routes.get(`/assets/${name}`, (context) =>
        sendPageFile(context, file, { policy: CONTENT_SECURITY_POLICY, caching: FOR_EVER }),
      );
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
