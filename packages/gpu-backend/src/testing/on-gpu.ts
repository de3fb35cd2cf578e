import { describe } from "vitest";

import { randoms } from "../../../core-tensor/src/testing/fixture";
import { registerMatchers } from "../../../core-tensor/src/testing/allclose";
import { SuiteContext } from "../../../core-tensor/src/testing/suite-context";
import { OPTIONAL_FEATURES, type OptionalFeature } from "../device/features";
import { requestGpu } from "../node";
import { createWebGpuBackend, type WebGpuBackend } from "../webgpu-backend";

export { randoms };

/** Why there is no GPU here; empty where there is one. `tools/vitest-gpu.ts` has looked. */
export const NO_GPU = process.env.WINNOW_NO_GPU ?? "";

/** Devices that every kernel has to work on: with all that the adapter has, and with nothing that another may lack. */
export const DEVICES: readonly (readonly [name: string, without: readonly OptionalFeature[]])[] = [
  ["with every feature", []],
  ["with no optional feature", OPTIONAL_FEATURES],
];

/** A backend for a test of this file, software adapters included. The test disposes it. */
export async function testBackend(without: readonly OptionalFeature[] = []): Promise<WebGpuBackend> {
  return createWebGpuBackend(await requestGpu({ allowSoftware: true, without }));
}

/** Tests that need a device; skipped where there is none. */
export function describeGpu(name: string, tests: () => void): void {
  describe.skipIf(NO_GPU !== "")(name, tests);
}

/** The same tests on each of `DEVICES`; the context's backend is made before the first and disposed after the last. */
export function describeOnDevices(name: string, tests: (context: SuiteContext) => void): void {
  registerMatchers();
  for (const [device, without] of DEVICES) {
    describeGpu(`${name} ${device}`, () => {
      tests(new SuiteContext(() => testBackend(without), {}));
    });
  }
}
