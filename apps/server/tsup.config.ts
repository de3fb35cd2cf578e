import { copyFile, mkdir } from "node:fs/promises";
import { createRequire } from "node:module";

import { defineConfig } from "tsup";

const SWAGGER_UI = ["swagger-ui.css", "swagger-ui-bundle.js", "LICENSE", "NOTICE"];

export default defineConfig({
  entry: ["src/index.ts"],
  format: ["esm"],
  target: "node20",
  // TypeScript 6 warns of options that tsup's type build still sets.
  dts: { compilerOptions: { ignoreDeprecations: "6.0" } },
  sourcemap: true,
  clean: true,
  // The page at /docs is theirs; who installs the server does not install the whole of them.
  onSuccess: async () => {
    await mkdir("dist/swagger-ui", { recursive: true });
    const { resolve } = createRequire(import.meta.url);
    for (const file of SWAGGER_UI) await copyFile(resolve(`swagger-ui-dist/${file}`), `dist/swagger-ui/${file}`);
  },
});
