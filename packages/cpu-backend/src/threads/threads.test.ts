import { numberToBf16, numberToF16, rows, tensor, type Backend, type Tensor } from "@winnow/core-tensor";
import { describe, expect, it } from "vitest";

import { randoms } from "../../../core-tensor/src/testing/fixture";
import { createSimdBackend } from "../node";
import { threadCount } from "./thread-count";

const options = { label: "test", category: "activations" } as const;

/** A weight of a type, from the same numbers. */
function weightOf(dtype: "f32" | "f16" | "bf16", shape: [number, number]): Tensor {
  const values = randoms(3, shape[0] * shape[1]);
  if (dtype === "f32") return tensor("f32", shape, Float32Array.from(values));
  return tensor(dtype, shape, Uint16Array.from(values, dtype === "f16" ? numberToF16 : numberToBf16));
}

/** A product, then attention of many rows and of one, all of one backend. */
async function results(backend: Backend, dtype: "f32" | "f16" | "bf16"): Promise<number[]> {
  const [kvHeads, group, headDim, count, context] = [2, 3, 8, 11, 700];
  const heads = { queryHeads: kvHeads * group, kvHeads, headDim };
  const width = (heads.queryHeads + 2 * kvHeads) * headDim;
  const upload = (shape: number[], seed: number) =>
    backend.upload(
      tensor(
        "f32",
        shape,
        randoms(
          seed,
          shape.reduce((product, extent) => product * extent, 1),
        ),
      ),
      options,
    );
  const x = upload([count, 37], 1);
  const qkv = backend.allocate("f32", [count, width], options);
  backend.matmul({ x: rows(x), weight: backend.upload(weightOf(dtype, [width, 37]), options), out: rows(qkv) });
  const scratch = { k: upload([kvHeads, 1000, headDim], 4), v: upload([kvHeads, 1000, headDim], 5) };
  const many = backend.allocate("f32", [count, heads.queryHeads * headDim], options);
  const one = backend.allocate("f32", [count, heads.queryHeads * headDim], options);
  const seen = { scratch, start: 0, count: context };
  const attend = { heads, scale: 0.4, qkv: rows(qkv) };
  backend.attend({
    ...attend,
    out: rows(many),
    groups: [{ start: 0, count, context: seen, own: { scratch, start: context } }],
  });
  backend.attend({
    ...attend,
    out: rows(one),
    groups: [{ start: 4, count: 1, context: { ...seen, count: context + 4 }, own: { scratch, start: context + 4 } }],
  });
  const width2 = heads.queryHeads * headDim;
  const found = await backend.downloadAll([qkv, many, one]);
  const [, ofMany, ofOne] = found;
  expect(ofOne?.subarray(4 * width2, 5 * width2)).toEqual(ofMany?.subarray(4 * width2, 5 * width2));
  return found.flatMap((data) => [...data]);
}

describe("threads", () => {
  it.each(["f32", "f16", "bf16"] as const)("make no difference to any bit, in %s", async (dtype) => {
    using alone = await createSimdBackend({ threads: 1 });
    const expected = await results(alone, dtype);
    for (const threads of [2, 3, 5]) {
      using backend = await createSimdBackend({ threads });
      for (let i = 0; i < 20; i++) expect(await results(backend, dtype)).toEqual(expected);
    }
  });

  it("are as many as are asked for, or as there are cores", () => {
    expect([threadCount(undefined, 4), threadCount(undefined, 64), threadCount(undefined, 0)]).toEqual([4, 16, 1]);
    expect([threadCount(1, 4), threadCount(256, 4)]).toEqual([1, 256]);
    for (const asked of [0, 257, 1.5, NaN]) {
      expect(() => threadCount(asked, 4)).toThrow(/threads; expected a whole number from 1 to 256/);
    }
  });
});
