import { createCpuWorkerBackend } from "@winnow/core-tensor/worker";

import { loadModel } from "../model";
import { batchingSuite } from "../testing/batching-suite";
import { TINY } from "../testing/models";

batchingSuite("on the CPU", () => loadModel(TINY));
batchingSuite("on the CPU in a thread of its own", () => loadModel(TINY, { backend: createCpuWorkerBackend() }));
