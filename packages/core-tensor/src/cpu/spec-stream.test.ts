import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { DeviceTensor } from "../device-tensor";
import { isLasting, lasting } from "../lasting-spec";
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

const handleOf = (id: number): Handle => new Handle(id);

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
            expect(reader.operation(reader.name(), handleOf, true)).toEqual({ name: "matmul", spec });
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
    expect(
      reader.operation(
        reader.name(),
        () => {
          throw new Error("gone");
        },
        true,
      ),
    ).toEqual({ name: "matmul", error: new Error("gone") });
    expect(reader.operation(reader.name(), handleOf, false)).toBeNull();
    expect(reader.operation(reader.name(), handleOf, true)).toEqual({
      name: "matmul",
      spec: { x: new Handle(2), rows: [1, 2] },
    });
  });

  it("gives a lasting specification back as one object, however often it comes and whatever was passed over", () => {
    const uses = fc.array(
      fc.record({ which: fc.nat(9), lasts: fc.boolean(), wanted: fc.boolean(), ends: fc.boolean() }),
    );
    fc.assert(
      fc.property(uses, (steps) => {
        const writer = new SpecWriter();
        const reader = new SpecReader();
        const pool = Array.from({ length: 10 }, (_, which) => lasting({ which, x: new Handle(which) }));
        const seen = new Map<number, unknown>();
        let batch: typeof steps = [];
        for (const step of steps) {
          const { which, lasts, ends } = step;
          const name = which % 2 === 0 ? "matmul" : "attend";
          writer.operation(name, (lasts ? pool[which] : undefined) ?? { which, x: new Handle(which) }, idOf);
          batch.push(step);
          if (!ends) continue;
          reader.open(structuredClone(writer.take()));
          for (const used of batch) {
            const read = reader.operation(reader.name(), handleOf, used.wanted);
            if (!used.wanted) expect(read).toBeNull();
            else {
              if (read === null || !("spec" in read)) throw new Error("not read");
              expect(read.name).toBe(used.which % 2 === 0 ? "matmul" : "attend");
              expect(read.spec).toEqual({ which: used.which, x: new Handle(used.which) });
              expect(isLasting(read.spec as object)).toBe(used.lasts);
              if (used.lasts) expect(seen.get(used.which) ?? read.spec).toBe(read.spec);
              if (used.lasts) seen.set(used.which, read.spec);
            }
          }
          expect(reader.isAtEnd).toBe(true);
          batch = [];
        }
      }),
    );
  });

  it("sends a lasting specification once, and again when many others have come since", () => {
    const writer = new SpecWriter();
    const reader = new SpecReader();
    const send = (spec: object): { readonly words: number; readonly read: unknown } => {
      writer.operation("matmul", spec, idOf);
      const taken = writer.take();
      reader.open(taken);
      return { words: taken.numbers.length, read: reader.operation(reader.name(), handleOf, true) };
    };
    const first = lasting({ x: new Handle(1) });
    const others = Array.from({ length: 8192 }, (_, i) => lasting({ x: new Handle(i), rows: [i] }));
    const inFull = send(first).words;
    for (const other of others.slice(0, -1)) send(other);
    expect(send(first).words).toBe(2);
    send(others[8191] ?? first);
    const sent = send(first);
    expect(sent.words).toBe(inFull);
    expect(sent.read).toEqual({ name: "matmul", spec: { x: new Handle(1) } });
    // The oldest made room for it.
    expect(send(others[0] ?? first).words).toBeGreaterThan(2);
    expect(send(others[4000] ?? first).read).toEqual({ name: "matmul", spec: { x: new Handle(4000), rows: [4000] } });
  });

  it("keeps that a lasting specification could not be read", () => {
    const writer = new SpecWriter();
    const reader = new SpecReader();
    const spec = lasting({ x: new Handle(1) });
    for (let i = 0; i < 2; i++) writer.operation("embed", spec, idOf);
    reader.open(writer.take());
    const gone = (): never => {
      throw new Error("gone");
    };
    expect(reader.operation(reader.name(), gone, false)).toBeNull();
    expect(reader.operation(reader.name(), handleOf, true)).toEqual({ name: "embed", error: new Error("gone") });
  });
});
