import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { DeviceTensor } from "../device-tensor";
import { SpecReader, SpecWriter } from "./spec-stream";

class Handle implements DeviceTensor {
  readonly label = "x";
  readonly dtype = "f32";
  readonly shape = [1];
  readonly bytes = 4;
  readonly disposed = false;
  constructor(readonly id: number) {}
  [Symbol.dispose](): void {}
}

const idOf = (tensor: DeviceTensor): number => {
  if (tensor instanceof Handle && tensor.id >= 0) return tensor.id;
  throw new Error("disposed");
};

describe("a stream of specifications", () => {
  it("gives back what was written, batch after batch", () => {
    const key = fc.constantFrom("x", "out", "rows", "kind", "score");
    const { specs } = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.double(),
        fc.constantFrom(undefined, null, true, false, "paged", "scratch"),
        fc.nat(99).map((id) => new Handle(id)),
        fc.uint8Array({ maxLength: 5 }).map((bytes) => Uint32Array.from(bytes, (byte) => 16_843_009 * byte)),
        fc.array(tie("value"), { maxLength: 4 }),
        fc.dictionary(key, tie("value"), { noNullPrototype: true }),
      ),
      specs: fc.array(fc.dictionary(key, tie("value"), { noNullPrototype: true })),
    }));
    fc.assert(
      fc.property(fc.array(specs), (batches) => {
        const writer = new SpecWriter();
        const reader = new SpecReader();
        for (const batch of batches as object[][]) {
          for (const spec of batch) writer.operation("matmul", spec, idOf);
          reader.open(structuredClone(writer.take()));
          expect(writer.isEmpty).toBe(true);
          for (const spec of batch) {
            expect(reader.name()).toBe("matmul");
            expect(reader.specification((id) => new Handle(id))).toEqual(spec);
          }
          expect(reader.isAtEnd).toBe(true);
        }
      }),
    );
  });

  it("has nothing of an operation that could not be written, or not be read", () => {
    const writer = new SpecWriter();
    const reader = new SpecReader();
    expect(() => {
      writer.operation("embed", { x: 1, table: new Handle(-1) }, idOf);
    }).toThrow("disposed");
    expect(() => {
      writer.operation("embed", { x: 1n }, idOf);
    }).toThrow(/holds a bigint/);
    expect(writer.isEmpty).toBe(true);
    for (let id = 0; id < 3; id++) writer.operation("matmul", { x: new Handle(id), rows: [1, 2] }, idOf);
    reader.open(writer.take());
    reader.name();
    expect(() =>
      reader.specification(() => {
        throw new Error("gone");
      }),
    ).toThrow("gone");
    reader.name();
    expect(reader.specification(null)).toBeNull();
    expect(reader.name()).toBe("matmul");
    expect(reader.specification((id) => new Handle(id))).toEqual({ x: new Handle(2), rows: [1, 2] });
  });
});
