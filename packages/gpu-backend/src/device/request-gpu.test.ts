import { expect, it } from "vitest";

import { describeAdapter, OPTIONAL_FEATURES, requestGpu } from "../node";
import { describeGpu } from "../testing/on-gpu";
import { DEFAULT_LIMITS, LIMIT_NAMES } from "./limits";

describeGpu("requestGpu", () => {
  it("gives a device with all that its adapter allows", async () => {
    using gpu = await requestGpu({ allowSoftware: true });
    const adapter = await describeAdapter();
    expect(gpu.adapter).toEqual(adapter);
    for (const name of LIMIT_NAMES) expect(gpu.device.limits[name]).toBe(adapter.limits[name]);
    expect(gpu.capabilities).toMatchObject({
      limits: adapter.limits,
      f16: adapter.features.includes("shader-f16"),
      subgroups: adapter.subgroups,
      timestamps: adapter.features.includes("timestamp-query"),
    });
    expect(adapter.limits.maxBufferSize).toBeGreaterThanOrEqual(DEFAULT_LIMITS.maxBufferSize);
    expect(adapter.name).not.toBe("");
  });

  it("does without the features that it is told to do without", async () => {
    using gpu = await requestGpu({ allowSoftware: true, without: OPTIONAL_FEATURES });
    expect(gpu.capabilities).toMatchObject({ f16: false, subgroups: null, timestamps: false, subgroupMatrices: [] });
    const features: ReadonlySet<string> = gpu.device.features;
    expect(OPTIONAL_FEATURES.filter((name) => features.has(name))).toEqual([]);
  });

  it("takes a software adapter only when it is told to", async () => {
    const { software } = await describeAdapter();
    if (software === null) {
      using gpu = await requestGpu();
      expect(gpu.adapter.software).toBeNull();
      return;
    }
    await expect(requestGpu()).rejects.toMatchObject({
      failure: "no-adapter",
      message: expect.stringContaining(software) as unknown,
    });
  });
});
