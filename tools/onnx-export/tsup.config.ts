import { defineConfig } from "tsup";

export default defineConfig({
  entry: { index: "src/index.ts", program: "src/program.ts" },
  format: ["esm"],
  target: "node20",
  // TypeScript 6 warns of options that tsup's type build still sets.
  dts: { entry: { index: "src/index.ts" }, compilerOptions: { ignoreDeprecations: "6.0" } },
  clean: true,
});
