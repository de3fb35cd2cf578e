import { describe, expect, it } from "vitest";

import { endTrapped } from "./end-trapped";
import { instantiate, kernelBytes } from "./kernels";
import { allowRelaxedSimd, startNodeHelper } from "./threads/node-helpers";

const STACK_BYTES = 65_536;
const PAGES = 64;
/** More than the memory has room for. */
const ROWS_BEYOND = PAGES * 65_536;
const WIDTH = 4;

/** Kernels of as many threads over one memory. */
function kernelsOf(threads: number) {
  allowRelaxedSimd();
  const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES, shared: true });
  const module = new WebAssembly.Module(kernelBytes());
  const instance = instantiate(module, memory);
  let end = Math.ceil(instance.heapBase / 64) * 64;
  for (let thread = 1; thread < threads; thread++) {
    end += STACK_BYTES;
    startNodeHelper({ module, memory, thread, stack: end });
  }
  instance.kernels.expect_helpers(threads - 1, 1);
  return { instance, memory, free: end };
}

describe("an operation whose kernel traps", () => {
  // Tasks are taken in order by whoever is free, so that any thread may come to the rows behind the memory's end.
  it.each([1, 2, 4])("is ended, and the next gives its results, with %i threads", (threads) => {
    const { instance, memory, free } = kernelsOf(threads);
    const { kernels, stack } = instance;
    const rows = 64;
    const [weight, x, out] = [free, free + 64, free + 64 + 4 * WIDTH * rows];
    const norm = endTrapped(instance, "rmsNorm", (count: number) => {
      kernels.rms_norm(x, count, WIDTH, weight, WIDTH, 1, 0, 0, 0, out);
    });
    new Float32Array(memory.buffer, weight, WIDTH).fill(3);
    const top: unknown = stack.value;
    for (let i = 0; i < 30; i++) {
      expect(() => {
        norm(ROWS_BEYOND, () => undefined);
      }).toThrow(/rmsNorm: a kernel of the CPU backend stopped/);
      expect(stack.value).toBe(top);
      new Float32Array(memory.buffer, weight, WIDTH).fill(3);
      new Float32Array(memory.buffer, x, WIDTH * rows).fill(2);
      norm(rows, () => undefined);
      expect(new Set(new Float32Array(memory.buffer, out, WIDTH * rows))).toEqual(new Set([3]));
    }
    kernels.stop_helpers();
  });
});
