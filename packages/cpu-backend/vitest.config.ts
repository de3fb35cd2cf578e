import { fileURLToPath } from "node:url";

import { mergeConfig } from "vitest/config";

import library from "../../tools/vitest-package.ts";

const source = (path: string): string => fileURLToPath(new URL(`../core-tensor/src/${path}`, import.meta.url));

/** As in tsconfig.json: one copy of core-tensor for the backend and for the suite that it is tested by. */
export default mergeConfig(library, {
  resolve: {
    alias: [
      { find: /^@winnow[/]core-tensor$/, replacement: source("index.ts") },
      { find: /^@winnow[/]core-tensor[/](cpu|worker)$/, replacement: source("$1.ts") },
    ],
  },
});
