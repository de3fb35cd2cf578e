import { defineConfig, type Options } from "tsup";

import { library } from "../../tools/tsup-library";

type Plugin = NonNullable<Options["esbuildPlugins"]>[number];

/** Whatever imports what Node does gets what a browser does: nothing in that build reaches a module of Node. */
const forBrowsers: Plugin = {
  name: "platform",
  setup(build) {
    build.onResolve({ filter: /\/platform\/node$/ }, ({ importer, path, resolveDir }) =>
      build.resolve(path.replace(/node$/, "browser"), { importer, kind: "import-statement", resolveDir }),
    );
  },
};

export default defineConfig([
  // Both builds run at once, and neither may clear the other's files away.
  { ...library({ index: "src/index.ts" }), clean: ["!browser/**"] },
  {
    ...library({ index: "src/browser.ts" }),
    format: ["esm"],
    outDir: "dist/browser",
    platform: "browser",
    esbuildPlugins: [forBrowsers],
  },
]);
