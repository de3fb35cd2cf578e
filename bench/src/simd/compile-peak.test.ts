import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, expect, test } from "vitest";

import { compilePeak } from "./compile-peak";

const folder = mkdtempSync(join(tmpdir(), "winnow-peak-"));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

test("the kernels compile to a module of WebAssembly", async () => {
  expect((await compilePeak()).subarray(0, 4)).toEqual(Buffer.from("\0asm"));
});

test("what clang finds wrong is one line, with the command and what helps", async () => {
  const source = join(folder, "broken.c");
  writeFileSync(source, "int peak(void) { return nothing; }\n");
  await expect(compilePeak(source)).rejects.toMatchObject({
    code: "backend",
    message: expect.stringMatching(
      /^"node bench\/kernels\/compile-peak\.mjs \S*broken\.c \S*peak\.wasm" failed: clang says "peak\.c:1:25: error: use of undeclared identifier 'nothing'"; mend \S*broken\.c$/,
    ) as string,
  });
});

test("a source that cannot be read is one line as well", async () => {
  await expect(compilePeak(join(folder, "nowhere.c"))).rejects.toMatchObject({
    code: "backend",
    message: expect.stringMatching(/failed: ENOENT[^\n]*nowhere\.c'; check the path[^\n]*$/) as string,
  });
});
