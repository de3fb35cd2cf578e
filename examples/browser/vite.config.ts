import { defineConfig } from "vite";

export default defineConfig({
  // Relative, so that the built page runs in any folder of any server.
  base: "./",
  // The demo model: served as demo/ while developing, and copied beside the built page.
  publicDir: "../../models",
  // Without a page for whatever is not there: a file that a model lacks is then a 404.
  appType: "mpa",
  build: { target: "es2022", sourcemap: true },
});
