export { createCpuWorkerBackend } from "./cpu/cpu-worker-backend";
