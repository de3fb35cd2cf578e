import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { expect, test } from "vitest";

import { ROOT, run } from "./run";

/** A tree of the workspace's shape in which one file imports another. */
async function check(from: string, to: string): Promise<string> {
  mkdirSync(join(ROOT, ".reports"), { recursive: true });
  const tree = mkdtempSync(join(ROOT, ".reports/imports-"));
  try {
    cpSync(join(ROOT, ".dependency-cruiser.cjs"), join(tree, ".dependency-cruiser.cjs"));
    cpSync(join(ROOT, "tsconfig.base.json"), join(tree, "tsconfig.base.json"));
    const write = (file: string, text: string): void => {
      mkdirSync(dirname(join(tree, file)), { recursive: true });
      writeFileSync(join(tree, file), text);
    };
    write(to, "export const x = 1;\n");
    const up = "../".repeat(from.split("/").length - 1);
    write(from, `export { x } from "${up}${to.replace(/\.ts$/, "")}";\n`);
    const program = join(ROOT, "node_modules/dependency-cruiser/bin/dependency-cruise.mjs");
    return await run(
      process.execPath,
      [program, from.split("/")[0] ?? "", "--config", ".dependency-cruiser.cjs"],
      tree,
    );
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
}

test.each([
  ["packages/core-tensor/src/a.ts", "packages/kv-policies/src/b.ts"],
  ["packages/kv-policies/src/a.ts", "packages/profiler/src/b.ts"],
  ["packages/profiler/src/a.ts", "packages/runtime/src/b.ts"],
  ["packages/runtime/src/a.ts", "apps/cli/src/b.ts"],
  ["packages/profiler/src/a.ts", "packages/core-tensor/src/cpu/b.ts"],
  ["packages/core-tensor/src/a.ts", "packages/gpu-backend/src/b.ts"],
  ["packages/profiler/src/a.ts", "packages/gpu-backend/src/b.ts"],
  ["packages/gpu-backend/src/a.ts", "packages/kv-policies/src/b.ts"],
  ["packages/gpu-backend/src/a.ts", "packages/runtime/src/b.ts"],
  ["packages/core-tensor/src/a.ts", "packages/cpu-backend/src/b.ts"],
  ["packages/kv-policies/src/a.ts", "packages/cpu-backend/src/b.ts"],
  ["packages/cpu-backend/src/a.ts", "packages/gpu-backend/src/b.ts"],
  ["packages/cpu-backend/src/a.ts", "packages/runtime/src/b.ts"],
  ["apps/cli/src/a.ts", "examples/demo/src/b.ts"],
])("%s may not import %s", async (from, to) => {
  await expect(check(from, to)).rejects.toThrow(/error/);
});

test.each([
  ["packages/runtime/src/a.ts", "packages/profiler/src/b.ts"],
  ["packages/profiler/src/a.ts", "packages/kv-policies/src/b.ts"],
  ["packages/gpu-backend/src/a.ts", "packages/core-tensor/src/b.ts"],
  ["packages/runtime/src/a.ts", "packages/gpu-backend/src/b.ts"],
  ["packages/cpu-backend/src/a.ts", "packages/core-tensor/src/b.ts"],
  ["packages/runtime/src/a.ts", "packages/cpu-backend/src/b.ts"],
  ["apps/cli/src/a.ts", "packages/runtime/src/b.ts"],
])("%s may import %s", async (from, to) => {
  expect(await check(from, to)).toContain("no dependency violations");
});
