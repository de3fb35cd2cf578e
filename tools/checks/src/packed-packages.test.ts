import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import { ROOT, run } from "./run";

/** Each library with one thing that it exports. */
const LIBRARIES = {
  "@winnow/core-tensor": "createCpuBackend",
  "@winnow/core-tensor/worker": "createCpuWorkerBackend",
  "@winnow/core-tensor/cpu": "createCpuBackendOf",
  "@winnow/cpu-backend": "createSimdWorkerBackend",
  "@winnow/gpu-backend": "createWebGpuBackend",
  "@winnow/kv-policies": "parsePolicy",
  "@winnow/profiler": "askQuestion",
  "@winnow/runtime": "loadModel",
};

const PNPM = join(ROOT, ".bootstrap/node_modules/pnpm/bin/pnpm.cjs");
const project = mkdtempSync(join(tmpdir(), "winnow-packed-"));

beforeAll(async () => {
  const folders = [...readdirSync(join(ROOT, "packages")).map((name) => `packages/${name}`), "apps/server", "apps/cli"];
  for (const folder of folders)
    await run(process.execPath, [PNPM, "pack", "--pack-destination", project], join(ROOT, folder));
  writeFileSync(join(project, "package.json"), JSON.stringify({ name: "empty", private: true }));
  const tarballs = readdirSync(project).filter((name) => name.endsWith(".tgz"));
  const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error"];
  await run("npm", ["install", ...flags, ...tarballs.map((name) => `./${name}`)], project);
});

afterAll(() => {
  rmSync(project, { recursive: true, force: true });
});

test.each(Object.entries(LIBRARIES))("%s works from its tarball by import and by require", async (name, symbol) => {
  const imported = `import { ${symbol} } from "${name}"; process.stdout.write(typeof ${symbol});`;
  const required = `process.stdout.write(typeof require("${name}").${symbol});`;
  expect(await run(process.execPath, ["--input-type=module", "--eval", imported], project)).toBe("function");
  expect(await run(process.execPath, ["--input-type=commonjs", "--eval", required], project)).toBe("function");
});

test.each([
  ["@winnow/core-tensor/worker", "createCpuWorkerBackend", "module"],
  ["@winnow/core-tensor/worker", "createCpuWorkerBackend", "commonjs"],
  ["@winnow/cpu-backend", "createSimdWorkerBackend", "module"],
  ["@winnow/cpu-backend", "createSimdWorkerBackend", "commonjs"],
])("%s runs %s from its tarball in a %s", async (name, create, type) => {
  const load = type === "module" ? `import { ${create} } from "${name}";` : `const { ${create} } = require("${name}");`;
  const use = `const b = ${create}();
    b.download(b.allocate("f32", [3], { label: "x", category: "activations" })).then((x) => console.log(x.length));`;
  expect((await run(process.execPath, [`--input-type=${type}`, "--eval", load + use], project)).trim()).toBe("3");
});

test("the program's tarball gives a working winnow", async () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, "apps/cli/package.json"), "utf8")) as { version: string };
  const winnow = join(project, "node_modules/.bin/winnow");
  expect((await run(winnow, ["--version"], project)).trim()).toBe(version);
  expect(await run(winnow, ["inspect", "policy", "fastgen"], project)).toContain("frequent(30%)");
});

test("the program's tarball serves a model, with its pages", async () => {
  const winnow = join(project, "node_modules/.bin/winnow");
  const child = spawn(winnow, ["serve", "--model", join(ROOT, "models/demo"), "--backend", "cpu", "--port", "0"]);
  const ended = once(child, "close");
  try {
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    const url = line.toString().trim();
    for (const [path, type] of [
      ["/", "text/html"],
      ["/docs/swagger-ui.css", "text/css"],
      ["/v1/models", "application/json"],
    ] as const) {
      const response = await fetch(url + path);
      expect([path, response.status, response.headers.get("content-type")]).toEqual([
        path,
        200,
        expect.stringContaining(type),
      ]);
      await response.text();
    }
  } finally {
    child.kill("SIGTERM");
  }
  expect(await ended).toEqual([0, null]);
});
