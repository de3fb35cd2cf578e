import { directoryFiles } from "../files/directory-files";
import { openFile } from "../files/open-file";
import type { Platform } from "./platform";

export const platform: Platform = {
  filesAt: directoryFiles,
  openFile,
  async openCpu() {
    const { createCpuWorkerBackend } = await import("@winnow/core-tensor/worker");
    return createCpuWorkerBackend();
  },
  warn(message) {
    process.emitWarning(message, "WinnowWarning");
  },
};
