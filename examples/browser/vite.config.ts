import { defineConfig } from "vite";

/** Pages that are cross-origin isolated may share memory between threads; the model needs WebGPU or threads to be fast. */
const headers = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

export default defineConfig({
  server: { headers },
  preview: { headers },
  // Relative, so that the built page runs in any folder of any server.
  base: "./",
  // The demo model: served as demo/ while developing, and copied beside the built page.
  publicDir: "../../models",
  // Without a page for whatever is not there: a file that a model lacks is then a 404.
  appType: "mpa",
  build: { target: "es2022", sourcemap: true },
});
