export { createCpuWorkerBackend, type CpuWorkerOptions } from "./cpu/cpu-worker-backend";
export { serveCpuBackend } from "./cpu/serve-cpu-backend";
