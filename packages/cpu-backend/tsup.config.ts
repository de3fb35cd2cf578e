import { defineConfig } from "tsup";

import { library } from "../../tools/tsup-library";

export default defineConfig({
  ...library({ node: "src/node.ts", browser: "src/browser.ts", "cpu-worker": "src/threads/cpu-worker.ts" }),
  tsconfig: "tsconfig.build.json",
});
