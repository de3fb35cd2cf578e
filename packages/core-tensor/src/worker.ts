export { createCpuWorkerBackend, type CpuWorkerOptions } from "./cpu/cpu-worker-backend";
