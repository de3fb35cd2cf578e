import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll } from "vitest";

/** A directory of a test file's own, gone when its tests are done. */
export function temporaryDirectory(): (...names: string[]) => string {
  let dir = "";
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "winnow-"));
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));
  return (...names) => join(dir, ...names);
}
