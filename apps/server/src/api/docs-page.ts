import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { Hono } from "hono";

import { pageFile, readPageFile, sendPageFile } from "../http/page-files";

/** Where the build puts Swagger UI's files: beside the bundle that this becomes a part of. */
const BUILT = fileURLToPath(new URL("./swagger-ui", import.meta.url));

const PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width" />
    <title>Winnow: the server's API</title>
    <link rel="icon" href="data:," />
    <link rel="stylesheet" href="/docs/swagger-ui.css" />
  </head>
  <body>
    <div id="docs"></div>
    <noscript>The same as a document: <a href="/openapi.json">openapi.json</a></noscript>
    <script src="/docs/swagger-ui-bundle.js"></script>
    <script src="/docs/open.js"></script>
  </body>
</html>
`;

const OPEN = `SwaggerUIBundle({ url: "/openapi.json", dom_id: "#docs", deepLinking: true, validatorUrl: null });
`;

/** Swagger UI sets styles from scripts and draws from data. */
const POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

/** `GET /docs`: the API for people, from `/openapi.json`. */
export function docsPage(folder = BUILT): Hono {
  const encoder = new TextEncoder();
  const app = new Hono();
  const files = {
    "/docs": pageFile("docs.html", encoder.encode(PAGE)),
    "/docs/open.js": pageFile("open.js", encoder.encode(OPEN)),
    "/docs/swagger-ui.css": readPageFile(join(folder, "swagger-ui.css")),
    "/docs/swagger-ui-bundle.js": readPageFile(join(folder, "swagger-ui-bundle.js")),
  };
  for (const [path, file] of Object.entries(files)) {
    if (file !== null) app.get(path, (c) => sendPageFile(c, file, { policy: POLICY, caching: "no-cache" }));
  }
  return app;
}
