import { TOLERANCES, backendSuite } from "../../core-tensor/src/testing";
import { DEVICES, describeGpu, testBackend } from "./testing/on-gpu";

for (const [device, without] of DEVICES) {
  describeGpu(device, () => {
    // Software drivers compile each kernel for seconds: few cases, whose kernels the next ones find again.
    const options = { bitEqual: false, numRuns: 8 };
    backendSuite("webgpu", () => testBackend(without), options);
    backendSuite("webgpu, the cache in halves", () => testBackend(without), {
      ...options,
      kvType: "f16",
      tolerance: TOLERANCES.f16,
    });
    backendSuite("webgpu, the cache in q8", () => testBackend(without), { ...options, kvType: "q8" });
  });
}
