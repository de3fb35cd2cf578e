import { expect, it } from "vitest";

import { softwareName } from "./software-adapter";

const info = {
  __brand: "GPUAdapterInfo",
  vendor: "",
  architecture: "",
  device: "",
  description: "",
  isFallbackAdapter: false,
} as const;

it.each([
  ["llvmpipe", { vendor: "mesa", architecture: "software", description: "llvmpipe: Mesa 25.0.7 (LLVM 15.0.6)" }],
  ["SwiftShader", { vendor: "google", architecture: "swiftshader", description: "SwiftShader driver 5.0.0" }],
  ["Microsoft Basic Render Driver", { description: "Microsoft Basic Render Driver" }],
  ["an unnamed software adapter", { isFallbackAdapter: true }],
  [null, { vendor: "nvidia", architecture: "hopper", description: "NVIDIA: 570.1 NVIDIA H200" }],
  [null, { vendor: "apple", architecture: "common-3" }],
])("names %s", (name, fields) => {
  expect(softwareName({ ...info, ...fields })).toBe(name);
});
