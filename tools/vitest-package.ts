import { basename } from "node:path";
import { fileURLToPath } from "node:url";

import { defineConfig } from "vitest/config";

/** How the tests of every package run: beside the sources, with a report that `count-tests.mjs` adds up. */
export default defineConfig({
  test: {
    include: ["src/**/*.test.ts"],
    reporters: ["default", "json"],
    outputFile: { json: fileURLToPath(new URL(`../.reports/${basename(process.cwd())}.json`, import.meta.url)) },
    // The first prompt of a model takes seconds on a busy machine of two cores; nothing here is timed.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    maxWorkers: 2,
  },
});
