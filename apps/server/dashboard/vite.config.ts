import { defineConfig } from "vite";

export default defineConfig({
  // Relative, so that the page works behind a proxy that serves the API below a path.
  base: "./",
  build: {
    target: "es2022",
    outDir: "../dist/dashboard",
    // tsup empties dist/ before it builds, so this runs after it.
    emptyOutDir: true,
    modulePreload: { polyfill: false },
  },
});
