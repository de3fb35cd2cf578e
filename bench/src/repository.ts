import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { WinnowError } from "@winnow/core-tensor";

/**
 * The root of the repository: the nearest folder above this program that has the demo model. So a bundle of the
 * program finds it too, wherever in the repository it lies.
 *
 * @throws WinnowError `file` outside of the repository.
 */
export function repositoryRoot(): string {
  const start = dirname(fileURLToPath(import.meta.url));
  for (let dir = start; ; dir = dirname(dir)) {
    if (existsSync(join(dir, "models", "demo", "config.json"))) return dir;
    if (dir === dirname(dir)) {
      throw new WinnowError(
        "file",
        `${start}: no folder above it has models/demo; run the benchmark in the repository`,
      );
    }
  }
}
