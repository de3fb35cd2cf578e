import { expect, it } from "vitest";

import { matrixShapes } from "./adapter-description";

const info = {
  __brand: "GPUAdapterInfo",
  vendor: "nvidia",
  architecture: "hopper",
  device: "",
  description: "",
} as const;

it("lists the matrix shapes that an adapter tells of, and leaves out what it does not know", () => {
  const shape = { componentType: "f16", resultComponentType: "f32", M: 16, N: 16, K: 16 };
  const plain = { ...info, isFallbackAdapter: false };
  expect(matrixShapes(plain)).toEqual([]);
  const listing = { ...plain, subgroupMatrixConfigs: [shape, { componentType: "f16" }, null] };
  expect(matrixShapes(listing)).toEqual([shape]);
  const odd = { ...plain, subgroupMatrixConfigs: "none" };
  expect(matrixShapes(odd)).toEqual([]);
});
