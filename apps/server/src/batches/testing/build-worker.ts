import { mkdtemp, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { build } from "vite";

/** `worker.ts` as a program that Node runs; disposing of it deletes it. */
export async function buildWorker(): Promise<AsyncDisposable & { readonly program: string }> {
  const root = fileURLToPath(new URL("../../../", import.meta.url));
  // Below node_modules, so that the packages it imports are found from there.
  const outDir = await mkdtemp(`${root}node_modules/.batch-worker-`);
  await build({
    root,
    configFile: false,
    logLevel: "error",
    build: {
      ssr: fileURLToPath(new URL("worker.ts", import.meta.url)),
      outDir,
      target: "node20",
      rolldownOptions: { output: { entryFileNames: "worker.mjs" } },
    },
  });
  return {
    program: `${outDir}/worker.mjs`,
    [Symbol.asyncDispose]: () => rm(outDir, { recursive: true, force: true }),
  };
}
