import { backendSuite } from "../../core-tensor/src/testing";
import { DEVICES, describeGpu, testBackend } from "./testing/on-gpu";

for (const [device, without] of DEVICES) {
  describeGpu(device, () => {
    // Software drivers compile each kernel for seconds: few cases, whose kernels the next ones find again.
    backendSuite("webgpu", () => testBackend(without), { bitEqual: false, numRuns: 8 });
  });
}
