import { defineConfig } from "tsup";

export default defineConfig({
  entry: ["src/layer-share.ts", "src/stripes.ts"],
  format: ["esm"],
  target: "node20",
  clean: true,
});
