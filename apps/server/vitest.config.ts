import { mergeConfig } from "vitest/config";

import shared from "../../tools/vitest-package.ts";

export default mergeConfig(shared, { test: { include: ["dashboard/src/**/*.test.ts"] } });
