import type { Backend } from "@winnow/core-tensor";
import { createCpuBackendOf } from "@winnow/core-tensor/cpu";

import { KERNELS } from "../generated/kernels";
import { simdEngine } from "../simd-engine";
import { startNodeHelper } from "../threads/node-helpers";

/** The backend with the kernels of a runtime that has no relaxed SIMD. */
export function createPlainBackend(threads: number): Backend {
  const module = new WebAssembly.Module(Buffer.from(KERNELS.plain, "base64"));
  return createCpuBackendOf(
    simdEngine({ module, threads, startHelper: startNodeHelper, trustsByteDots: false, maySleep: true }),
  );
}
