import { defineConfig } from "tsup";

import { library } from "../../tools/tsup-library";

const options = library({ node: "src/node.ts", browser: "src/browser.ts" });

export default defineConfig({
  ...options,
  tsconfig: "tsconfig.build.json",
  // The global GPU types would vanish from the built ones, and consumers would silently get `any`.
  dts: { compilerOptions: { ignoreDeprecations: "6.0" }, banner: '/// <reference types="@webgpu/types" />' },
});
