import { defineConfig } from "tsup";

import { library } from "../../tools/tsup-library";

export default defineConfig(
  library({ index: "src/index.ts", cpu: "src/cpu.ts", worker: "src/worker.ts", "cpu-worker": "src/cpu/cpu-worker.ts" }),
);
