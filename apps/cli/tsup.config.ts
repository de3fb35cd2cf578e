import { defineConfig } from "tsup";

export default defineConfig({ entry: ["src/winnow.ts"], format: ["esm"], target: "node20", clean: true });
