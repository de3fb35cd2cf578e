import { readFileSync } from "node:fs";
import { expect, it } from "vitest";

/** Modules that a built file loads at once or later, and those that they load. */
function imports(file: URL, found = new Set<string>()): Set<string> {
  const source = readFileSync(file, "utf8");
  for (const [, name = ""] of source.matchAll(/(?:from|import|import\(|require\()\s*['"]([^'"]+)['"]/g)) {
    if (found.has(name)) continue;
    found.add(name);
    if (name.startsWith("./")) imports(new URL(name, file), found);
  }
  return found;
}

it("loads Dawn in Node only, and nothing of Node in a browser", () => {
  const dist = new URL("../dist/", import.meta.url);
  const foreign = (entry: string): string[] =>
    [...imports(new URL(entry, dist))].filter((name) => !name.startsWith("./")).sort();
  expect(foreign("browser.js")).toEqual(["@winnow/core-tensor"]);
  expect(foreign("node.js")).toEqual(["@webgpu/dawn", "@winnow/core-tensor", "fs", "module", "path"]);
});
