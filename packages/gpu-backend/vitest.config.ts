import { fileURLToPath } from "node:url";

import { mergeConfig } from "vitest/config";

import gpu from "../../tools/vitest-gpu.ts";

/** As in tsconfig.json: one copy of core-tensor for the backend and for the suite that it is tested by. */
const coreTensor = fileURLToPath(new URL("../core-tensor/src/index.ts", import.meta.url));

export default mergeConfig(gpu(), { resolve: { alias: { "@winnow/core-tensor": coreTensor } } });
