import { createCpuBackend } from "@winnow/core-tensor";

import { fetchedFiles } from "../files/fetched-files";
import { openUrl } from "../files/open-url";
import type { Platform } from "./platform";

export const platform: Platform = {
  filesAt: fetchedFiles,
  openFile: openUrl,
  // The worker is one of Node's; whoever wants the page to stay responsive runs all of the runtime in a web worker.
  openCpu: () => Promise.resolve(createCpuBackend()),
  warn(message) {
    console.warn(message);
  },
};
