import { WinnowError } from "@winnow/core-tensor";
import { expect, it } from "vitest";

import { defineFault } from "./fault";
import { defineKernel, kernelVariants } from "./kernel";
import { paramBlock } from "./params";

const PARAMS = paramBlock({ count: "u32" });

it("numbers bindings and prints their declarations before the code", () => {
  const kernel = defineKernel({
    label: "test",
    params: PARAMS,
    storage: { x: { access: "read", type: "array<f32>" }, out: { access: "write", type: "array<vec4f>" } },
    data: "array<u32>",
    enable: ["f16"],
    code: "@compute @workgroup_size(1) fn main() {}",
  });
  expect(kernel.kinds).toEqual(["params", "read", "write", "data"]);
  expect(kernel.wgsl).toMatchInlineSnapshot(`
    "enable f16;
    struct Params {
      count: u32,
    }
    @group(0) @binding(0) var<uniform> params: Params;
    @group(0) @binding(1) var<storage, read> x: array<f32>;
    @group(0) @binding(2) var<storage, read_write> out: array<vec4f>;
    @group(0) @binding(3) var<storage, read> data: array<u32>;
    @compute @workgroup_size(1) fn main() {}
    "
  `);
});

it("binds the fault buffer last", () => {
  const fault = defineFault((value) => new WinnowError("range", `${value}`));
  const kernel = defineKernel({ label: "test", params: PARAMS, storage: {}, fault, code: "" });
  expect(kernel.kinds).toEqual(["params", "fault"]);
  expect(kernel.wgsl).toContain("@binding(1) var<storage, read_write> fault");
});

it("makes each variant once", () => {
  let made = 0;
  const kernel = kernelVariants(({ size }: { size: number }) => {
    made++;
    return defineKernel({ label: "test", params: PARAMS, storage: {}, code: `const size = ${size};` });
  });
  expect(kernel({ size: 1 })).toBe(kernel({ size: 1 }));
  expect(kernel({ size: 2 }).wgsl).toContain("size = 2");
  expect(made).toBe(2);
});
