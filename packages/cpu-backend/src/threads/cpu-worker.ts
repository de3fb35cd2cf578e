import { serveCpuBackend } from "@winnow/core-tensor/worker";

import { kernelBytes } from "../kernels";
import { simdEngine } from "../simd-engine";
import { allowRelaxedSimd, startNodeHelper } from "./node-helpers";
import { isThreadSetup } from "./thread-setup";

/** The thread that leads; the helpers are threads of its own, and end with it. */
serveCpuBackend((own) => {
  const trustsByteDots = allowRelaxedSimd();
  return simdEngine({
    module: new WebAssembly.Module(kernelBytes()),
    threads: isThreadSetup(own) ? own.threads : 1,
    startHelper: startNodeHelper,
    trustsByteDots,
    maySleep: true,
  });
});
