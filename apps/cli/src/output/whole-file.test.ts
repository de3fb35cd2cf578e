import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, expect, it } from "vitest";

import { WholeFile } from "./whole-file";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "winnow-whole-file-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

it("leaves what is there until it is written", async () => {
  const path = join(folder, "file");
  writeFileSync(path, "old");
  const file = await WholeFile.at(path);
  expect(readdirSync(folder)).toEqual(["file"]);
  expect(readFileSync(path, "utf8")).toBe("old");
  await file.write("new");
  expect(readdirSync(folder)).toEqual(["file"]);
  expect(readFileSync(path, "utf8")).toBe("new");
});

it("leaves nothing beside it when it cannot be written after all", async () => {
  const path = join(folder, "file");
  const file = await WholeFile.at(path);
  mkdirSync(path);
  await expect(file.write("new")).rejects.toThrow();
  expect(readdirSync(folder)).toEqual(["file"]);
});
