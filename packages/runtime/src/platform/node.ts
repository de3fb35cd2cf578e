import { directoryFiles } from "../files/directory-files";
import { openFile } from "../files/open-file";
import type { Platform } from "./platform";

export const platform: Platform = {
  filesAt: directoryFiles,
  openFile,
  async openCpu(options) {
    const { createSimdWorkerBackend } = await import("@winnow/cpu-backend");
    return createSimdWorkerBackend(options);
  },
  async openReference() {
    const { createCpuWorkerBackend } = await import("@winnow/core-tensor/worker");
    return createCpuWorkerBackend();
  },
  warn(message) {
    process.emitWarning(message, "WinnowWarning");
  },
};
