import { backendSuite } from "../testing";
import { createCpuBackend } from "./cpu-backend";

backendSuite("cpu", createCpuBackend);
