import { backendSuite } from "../testing";
import { createCpuBackend } from "./cpu-backend";

backendSuite("cpu", createCpuBackend);
backendSuite("cpu, the cache in q8", createCpuBackend, { kvType: "q8" });
backendSuite("cpu, the cache in q4", createCpuBackend, { kvType: "q4" });
