import { readFileSync } from "node:fs";
import { expect, it } from "vitest";

/** Modules that a built file loads, and those that they load. */
function imports(file: URL, found = new Set<string>()): Set<string> {
  const source = readFileSync(file, "utf8");
  for (const [, name = ""] of source.matchAll(/(?:from|import|require\()\s*['"]([^'"]+)['"]/g)) {
    if (found.has(name)) continue;
    found.add(name);
    if (name.startsWith("./")) imports(new URL(name, file), found);
  }
  return found;
}

it("loads nothing of Node unless the worker is asked for, so that a browser can bundle it", () => {
  const dist = new URL("../dist/", import.meta.url);
  const foreign = (entry: string): string[] =>
    [...imports(new URL(entry, dist))].filter((name) => !name.startsWith("./"));
  expect(foreign("index.js")).toEqual([]);
  expect(foreign("index.cjs")).toEqual([]);
  expect(foreign("worker.js")).toContain("worker_threads");
});
