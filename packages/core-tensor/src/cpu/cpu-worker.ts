import { referenceEngine } from "./reference-engine";
import { serveCpuBackend } from "./serve-cpu-backend";

serveCpuBackend(referenceEngine);
