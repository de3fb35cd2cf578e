import { createCpuBackend } from "@winnow/core-tensor";

import { fetchedFiles } from "../files/fetched-files";
import { openUrl } from "../files/open-url";
import type { Platform } from "./platform";

export const platform: Platform = {
  filesAt: fetchedFiles,
  openFile: openUrl,
  // Whoever wants the page to stay responsive runs all of the runtime in a web worker.
  async openCpu(options) {
    const { createSimdBackend } = await import("@winnow/cpu-backend");
    return createSimdBackend(options);
  },
  openReference: () => Promise.resolve(createCpuBackend()),
  warn(message) {
    console.warn(message);
  },
};
