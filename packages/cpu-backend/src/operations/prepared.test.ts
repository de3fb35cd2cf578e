import { lasting, rows } from "@winnow/core-tensor";
import { expect, it } from "vitest";

import { createSimdBackend } from "../node";
import { prepareOnce } from "./prepared";

it("prepares a specification that lasts once, any other each time, and neither for tensors that are gone", async () => {
  using backend = await createSimdBackend({ threads: 1 });
  const x = backend.allocate("f32", [2, 3], { label: "x", category: "activations" });
  let prepared = 0;
  const numberOf = prepareOnce((_: object) => ++prepared);
  const spec = { into: { pages: [null, x] }, of: rows(x), bounds: [1, 2], words: new Uint32Array(2) };
  expect([numberOf(spec), numberOf(spec)]).toEqual([1, 2]);
  const kept = lasting({ ...spec });
  expect([numberOf(kept), numberOf(kept), numberOf({ ...kept })]).toEqual([3, 3, 4]);
  x[Symbol.dispose]();
  expect(() => numberOf(kept)).toThrow(/"x" is used after it was disposed/);
});
