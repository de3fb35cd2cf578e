import { mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import ts from "typescript";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { LoopbackHub } from "../../../apps/cli/src/hub/testing/loopback-hub";
import { ROOT, run } from "./run";

/** Where a package named in an example resolves from. */
const HERE = join(ROOT, "tools/checks");

const readmes = [
  "README.md",
  "apps/server/README.md",
  ...readdirSync(join(ROOT, "packages")).map((name) => `packages/${name}/README.md`),
];

describe.each(readmes)("%s", (file) => {
  const text = readFileSync(join(ROOT, file), "utf8");
  const examples = [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code = ""]) => code);

  test("has an example", () => {
    expect(examples.length).toBeGreaterThan(0);
  });

  test.each(examples.map((code, number) => ({ number: number + 1, code })))(
    "example $number runs",
    async ({ number, code }) => {
      const options = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true };
      const { outputText } = ts.transpileModule(code, { compilerOptions: options });
      const script = join(HERE, `.example-${file.replaceAll(/\W/g, "-")}-${number}.mjs`);
      writeFileSync(script, outputText);
      try {
        await run(process.execPath, [script], ROOT);
      } finally {
        rmSync(script, { force: true });
      }
    },
  );
});

describe("apps/cli/README.md", () => {
  const text = readFileSync(join(ROOT, "apps/cli/README.md"), "utf8");
  const commands = [...text.matchAll(/^winnow (.*)$/gm)].map(([, line = ""]) => line);
  // What commands write lands here, and the hub that they pull from has the demo model under the name they use.
  const dir = mkdtempSync(join(tmpdir(), "winnow-readme-"));
  symlinkSync(join(ROOT, "models"), join(dir, "models"));
  let hub: LoopbackHub;

  beforeAll(async () => {
    hub = await LoopbackHub.start();
    const model = join(ROOT, "models/demo");
    const files = readdirSync(model).map((name) => [name, readFileSync(join(model, name))] as const);
    hub.publish("HuggingFaceTB/SmolLM2-135M-Instruct", Object.fromEntries(files));
  });
  afterAll(async () => {
    await hub[Symbol.asyncDispose]();
    rmSync(dir, { recursive: true });
  });

  test("has commands", () => {
    expect(commands.length).toBeGreaterThan(0);
  });

  test.each(commands)("winnow %s", async (line) => {
    const words = [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? "");
    await run(process.execPath, [join(ROOT, "apps/cli/dist/winnow.js"), ...words], dir, {
      HF_ENDPOINT: hub.url,
      WINNOW_CACHE: join(dir, "cache"),
    });
  });
});
