import { createCpuWorkerBackend } from "@winnow/core-tensor/worker";

import { loadModel } from "../model";
import { openBackend } from "../open-backend";
import { batchingSuite } from "../testing/batching-suite";
import { TINY } from "../testing/models";

batchingSuite("on the CPU", () => loadModel(TINY));
batchingSuite("on the CPU in a thread of its own", () => loadModel(TINY, { backend: createCpuWorkerBackend() }));
batchingSuite("on the fast CPU backend", async () => loadModel(TINY, { backend: await openBackend("cpu") }));
