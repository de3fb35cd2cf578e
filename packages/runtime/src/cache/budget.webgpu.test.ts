import { createWebGpuBackend, requestGpu } from "@winnow/gpu-backend";
import { describe, vi } from "vitest";

import { loadModel } from "../model";
import { budgetSuite } from "../testing/budget-suite";
import { TINY } from "../testing/models";

describe.skipIf(process.env.WINNOW_NO_GPU !== undefined)("on WebGPU", () => {
  budgetSuite("f16", async (options) => {
    vi.spyOn(process, "emitWarning").mockReturnValue();
    const backend = createWebGpuBackend(await requestGpu({ allowSoftware: true }));
    return loadModel(TINY, { ...options, kvType: "f16", backend });
  });
});
