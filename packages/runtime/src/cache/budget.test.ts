import { createCpuBackend } from "@winnow/core-tensor";
import { createCpuWorkerBackend } from "@winnow/core-tensor/worker";

import { loadModel } from "../model";
import { budgetSuite } from "../testing/budget-suite";
import { TINY } from "../testing/models";

budgetSuite("in the calling thread", (options) => loadModel(TINY, { ...options, backend: createCpuBackend() }));
budgetSuite("in a worker", (options) => loadModel(TINY, { ...options, backend: createCpuWorkerBackend() }));
