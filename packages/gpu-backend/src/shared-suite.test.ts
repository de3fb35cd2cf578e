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
    // Its rows are read by the same kernels as those of q8.
    if (without.length > 0) return;
    backendSuite("webgpu, the cache in q4", () => testBackend(without), { ...options, kvType: "q4" });
  });
}
