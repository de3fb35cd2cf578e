import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { build, preview } from "vite";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** The page as `vite build` makes it, served from a folder of its own. */
export interface BuiltPage extends AsyncDisposable {
  readonly url: string;
  /** Every module that went into it. */
  readonly modules: readonly string[];
}

export async function builtPage(): Promise<BuiltPage> {
  const outDir = await mkdtemp(join(tmpdir(), "winnow-page-"));
  const built = await build({ root, logLevel: "warn", build: { outDir, emptyOutDir: true } });
  const outputs = Array.isArray(built) ? built : "output" in built ? [built] : [];
  const server = await preview({ root, logLevel: "warn", build: { outDir }, preview: { host: "127.0.0.1", port: 0 } });
  return {
    url: server.resolvedUrls?.local[0] ?? "",
    modules: outputs.flatMap(({ output }) => output.flatMap((file) => (file.type === "chunk" ? file.moduleIds : []))),
    async [Symbol.asyncDispose]() {
      await server.close();
      await rm(outDir, { recursive: true, force: true });
    },
  };
}
