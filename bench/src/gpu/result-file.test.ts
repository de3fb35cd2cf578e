import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { WinnowError } from "@winnow/core-tensor";
import { afterAll, expect, test } from "vitest";

import { expectWritable, writeResult } from "./result-file";

const dir = mkdtempSync(join(tmpdir(), "winnow-bench-"));
writeFileSync(join(dir, "old.json"), "old");

afterAll(() => {
  rmSync(dir, { recursive: true });
});

test("trying a file leaves it as it was", async () => {
  await expectWritable(join(dir, "new.json"));
  await expectWritable(join(dir, "old.json"));
  expect(readdirSync(dir)).toEqual(["old.json"]);
  expect(readFileSync(join(dir, "old.json"), "utf8")).toBe("old");
});

test("a result takes the place of an old one", async () => {
  await writeResult(join(dir, "old.json"), "new");
  expect(readFileSync(join(dir, "old.json"), "utf8")).toBe("new");
});

test.each([
  ["", "its name is empty"],
  [dir, "it is a folder"],
  [join(dir, "none", "a.json"), "ENOENT"],
  [join(dir, "old.json", "a.json"), "ENOTDIR"],
])("%j is refused", async (path, why) => {
  const error: unknown = await expectWritable(path).catch((thrown: unknown) => thrown);
  if (!(error instanceof WinnowError)) throw new Error(`thrown: ${String(error)}`);
  expect(error.code).toBe("usage");
  expect(error.message).toContain(`--out "${path}" cannot be written: `);
  expect(error.message).toContain(why);
});
