import { describe, expect, it } from "vitest";

import { rows, type DeviceTensor, type Rows } from "../../device-tensor";
import { numberToBf16, numberToF16 } from "../../half";
import { tensor } from "../../tensor";
import type { SuiteContext } from "../suite-context";

const OPTIONS = { label: "memory.test", category: "kv" } as const;

/** Allocation, transfer, the meter, and how errors surface. */
export function memorySuite(context: SuiteContext): void {
  describe("memory", () => {
    it("allocates zeros of every plain type", async () => {
      const { backend } = context;
      for (const dtype of ["f32", "u32", "i32"] as const) {
        using made = backend.allocate(dtype, [2, 3], OPTIONS);
        expect(made).toMatchObject({ dtype, shape: [2, 3], bytes: 24, disposed: false });
        expect(Array.from(await backend.download(made))).toEqual([0, 0, 0, 0, 0, 0]);
      }
    });

    it("widens halves, or keeps them: their values are the same", async () => {
      const { backend, fixture } = context;
      const values = [1, -0.5, 65504, 2 ** -24, 0];
      for (const [dtype, encode] of [
        ["f16", numberToF16],
        ["bf16", numberToBf16],
      ] as const) {
        const data = Uint16Array.from(values, encode);
        using table = backend.upload(tensor(dtype, [5, 1], data), OPTIONS);
        const out = fixture.f32([5, 1]);
        backend.embed({ table, ids: rows(fixture.u32([5], [0, 1, 2, 3, 4])), out: rows(out) });
        const found = await fixture.read(out);
        expect(found).toBeAllclose(values, dtype === "f16" ? { rtol: 0, atol: 0 } : { rtol: 2 ** -8, atol: 0 });
      }
    });

    it("counts what exists by category and label", () => {
      const { backend } = context;
      const before = backend.memory.snapshot();
      const made = backend.allocate("f32", [10], OPTIONS);
      const uploaded = backend.upload(tensor("u32", [2], Uint32Array.of(1, 2)), {
        label: "memory.upload",
        category: "weights",
      });
      expect(backend.memory.snapshot()).toMatchObject({
        kv: before.kv + 40,
        weights: before.weights + 8,
        total: before.total + 48,
      });
      expect(backend.memory.byLabel().get("memory.test")).toBe(40);
      made[Symbol.dispose]();
      made[Symbol.dispose]();
      uploaded[Symbol.dispose]();
      expect(made.disposed).toBe(true);
      expect(backend.memory.snapshot()).toMatchObject({ kv: before.kv, weights: before.weights, total: before.total });
      expect(backend.memory.byLabel().has("memory.test")).toBe(false);
    });

    it("copies a tensor into a larger one, in its turn", async () => {
      const { backend, fixture } = context;
      const source = fixture.f32([2, 2], [1, 2, 3, 4]);
      const target = fixture.f32([3, 2], [5, 6, 7, 8, 9, 10]);
      backend.copy(rows(source), rows(target, 0, 2));
      backend.copy(rows(source, 1, 1), rows(target, 2, 1));
      backend.write(source, Float32Array.of(0, 0));
      backend.submit();
      const found = await backend.downloadAll([target, source]);
      expect(found.map((part) => Array.from(part))).toEqual([
        [1, 2, 3, 4, 3, 4],
        [0, 0, 3, 4],
      ]);
    });

    it("refuses copies that do not fit", () => {
      const { backend, fixture } = context;
      const source = fixture.f32([2, 2], [1, 2, 3, 4]);
      const refused = (target: Rows, from = rows(source)) =>
        expect(() => {
          backend.copy(from, target);
        });
      refused(rows(fixture.u32([2, 2], [0, 0, 0, 0]))).toThrow(/holds f32 and .* u32; expected one type/);
      refused(rows(fixture.f32([2, 3]))).toThrow(/gives 2 rows of 2, .* takes 2 of 3/);
      refused(rows(fixture.f32([3, 2]))).toThrow(/gives 2 rows of 2, .* takes 3 of 2/);
      refused(rows(fixture.f32([3, 2]), 2, 2)).toThrow(/rows 2 to 4 .* which has 3/);
      refused(rows(source)).toThrow(/2 rows of .* from row 0 on are copied to row 0, which is among them/);
      const longer = fixture.f32([4, 2]);
      refused(rows(longer, 1, 2), rows(longer, 0, 2)).toThrow(/copied to row 1, which is among them/);
      refused(rows(longer, 0, 2), rows(longer, 1, 2)).toThrow(/copied to row 0, which is among them/);
    });

    it("copies rows of a tensor to others of its own", async () => {
      const { backend, fixture } = context;
      const tensor = fixture.f32([4, 2], [1, 2, 3, 4, 5, 6, 7, 8]);
      backend.copy(rows(tensor, 0, 2), rows(tensor, 2, 2));
      backend.copy(rows(tensor, 3, 1), rows(tensor, 0, 1));
      expect(await fixture.read(tensor)).toEqual([3, 4, 3, 4, 1, 2, 3, 4]);
    });

    it("writes, clears and reads parts", async () => {
      const { backend, fixture } = context;
      const target = fixture.f32([6], [1, 2, 3, 4, 5, 6]);
      const data = Float32Array.of(8, 9);
      backend.write(target, data, 3);
      data.fill(0);
      expect(await fixture.read(target)).toEqual([1, 2, 3, 8, 9, 6]);
      expect(Array.from(await backend.download(target, 2, 3))).toEqual([3, 8, 9]);
      expect(Array.from(await backend.download(target, 4))).toEqual([9, 6]);
      backend.clear(target);
      expect(await fixture.read(target)).toEqual([0, 0, 0, 0, 0, 0]);
    });

    it("reads what was there when the download was asked for", async () => {
      const { backend, fixture } = context;
      const target = fixture.f32([2], [1, 2]);
      const reading = backend.download(target);
      backend.write(target, Float32Array.of(3, 4));
      expect(Array.from(await reading)).toEqual([1, 2]);
      const last = backend.download(target);
      target[Symbol.dispose]();
      expect(Array.from(await last)).toEqual([3, 4]);
    });

    it("refuses what does not fit", async () => {
      const { backend, fixture } = context;
      const target = fixture.f32([2]);
      const caught = (act: () => void): unknown => {
        try {
          act();
        } catch (error) {
          return error;
        }
        return null;
      };
      expect(
        caught(() => {
          backend.write(target, new Float32Array(2), 1);
        }),
      ).toMatchObject({ code: "range" });
      await expect(backend.download(target, 1, 2)).rejects.toMatchObject({ code: "range" });
    });
  });

  describe("errors", () => {
    it("surface once, at the next flush or download, and what follows works", async () => {
      const { backend, fixture } = context;
      const x = rows(fixture.f32([1, 2], [3, 4]));
      const out = fixture.f32([1, 2]);
      backend.rmsNorm({ x, weight: fixture.f32([3]), epsilon: 0, out: rows(out) });
      await expect(backend.download(out)).rejects.toMatchObject({ name: "WinnowError", code: "shape" });
      await backend.flush();
      backend.rmsNorm({ x, weight: fixture.f32([2], [1, 1]), epsilon: 0, out: rows(out) });
      expect(await fixture.read(out)).toBeAllclose([3 / Math.sqrt(12.5), 4 / Math.sqrt(12.5)], context.tolerance);
    });

    it("name the operation and a tensor that was disposed", async () => {
      const { backend, fixture } = context;
      const gone: DeviceTensor = backend.allocate("f32", [2, 2], OPTIONS);
      gone[Symbol.dispose]();
      backend.rmsNorm({ x: rows(gone), weight: fixture.f32([2]), epsilon: 0, out: rows(fixture.f32([2, 2])) });
      await expect(backend.flush()).rejects.toMatchObject({
        code: "disposed",
        message: expect.stringMatching(/rmsNorm.*memory\.test/) as unknown,
      });
      await backend.flush();
    });

    it("name the type that was expected", async () => {
      const { backend, fixture } = context;
      backend.embed({ table: fixture.f32([2, 2]), ids: rows(fixture.f32([1])), out: rows(fixture.f32([1, 2])) });
      await expect(backend.flush()).rejects.toMatchObject({
        code: "dtype",
        message: expect.stringContaining("u32") as unknown,
      });
    });

    it("refuse a tensor of another backend", async () => {
      const { backend, fixture } = context;
      const foreign: DeviceTensor = {
        id: 1,
        label: "foreign",
        dtype: "f32",
        shape: [1, 2],
        bytes: 8,
        disposed: false,
        [Symbol.dispose]: () => undefined,
      };
      const out = fixture.f32([1, 2], [1, 2]);
      backend.rmsNorm({ x: rows(foreign), weight: fixture.f32([2]), epsilon: 0, out: rows(out) });
      await expect(backend.flush()).rejects.toMatchObject({
        code: "backend",
        message: expect.stringContaining("foreign") as unknown,
      });
      expect(await fixture.read(out)).toEqual([1, 2]);
    });
  });
}
