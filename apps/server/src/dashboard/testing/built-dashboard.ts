import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "vite";

const root = fileURLToPath(new URL("../../../dashboard", import.meta.url));

/** The page as the package's build makes it, in a folder of its own. */
export interface BuiltDashboard extends AsyncDisposable {
  readonly folder: string;
}

export async function builtDashboard(): Promise<BuiltDashboard> {
  const folder = await mkdtemp(join(tmpdir(), "winnow-dashboard-"));
  await build({ root, logLevel: "warn", build: { outDir: folder, emptyOutDir: true } });
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}
