/** Products of one shape that differ between ways to multiply. */
export interface ComparedProducts {
  /** What the runtime does with bytes, as `byte-dots.h` numbers it. */
  readonly found: number;
  /** Shapes that were multiplied. */
  readonly shapes: number;
  /** Those whose results are not the same to the bit, in words. */
  readonly different: readonly string[];
}

/**
 * Multiply with 16-bit numbers and with whatever bytes the runtime multiplies exactly. It needs nothing from outside itself, so
 * that it can be sent into a browser's page.
 *
 * @param base64 a module of the kernels.
 */
export function compareProducts(base64: string): ComparedProducts {
  const memory = new WebAssembly.Memory({ initial: 256, maximum: 65_536, shared: true });
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } });
  const call = (name: string, ...values: number[]): number => {
    const exported = exports[name];
    if (typeof exported !== "function") throw new TypeError(`the module exports no ${name}`);
    return Number(Reflect.apply(exported, undefined, values));
  };
  const heap = exports.__heap_base;
  if (!(heap instanceof WebAssembly.Global)) throw new TypeError("the module exports no __heap_base");
  let next = Number(heap.value);
  const place = (size: number): number => {
    const at = Math.ceil(next / 64) * 64;
    next = at + size;
    return at;
  };
  // Numerical Recipes' generator.
  let state = 7;
  const random = (): number => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) >>> 8;
  call("expect_helpers", 0, 1);
  const found = call("find_byte_dots");
  const different: string[] = [];
  let shapes = 0;
  const start = next;
  // As `groups.h` has them: bytes of a block of one row, blocks that share halves, and bytes of those.
  for (const { name, form, block, beside, halves } of [
    { name: "q8_0", form: 3, block: 32, beside: 1, halves: 2 },
    { name: "q4_0", form: 4, block: 16, beside: 1, halves: 2 },
    { name: "q4_1", form: 5, block: 16, beside: 1, halves: 4 },
    { name: "q5_0", form: 6, block: 20, beside: 1, halves: 2 },
    { name: "q5_1", form: 7, block: 20, beside: 1, halves: 4 },
    { name: "q4_k", form: 8, block: 18, beside: 8, halves: 4 },
    { name: "q5_k", form: 9, block: 22, beside: 8, halves: 4 },
    { name: "q6_k", form: 10, block: 26, beside: 8, halves: 2 },
  ]) {
    for (const [rows, outputs, units] of [
      [1, 4, 1],
      [2, 9, 2],
      [3, 7, 5],
      [4, 8, 1],
      [5, 21, 3],
      [50, 6, 2],
      [55, 40, 1],
    ] as const) {
      next = start;
      const blocks = units * beside;
      const inputs = 32 * blocks;
      const unitBytes = 4 * (beside * block + halves);
      const groupBytes = units * unitBytes;
      const weight = place(Math.ceil(outputs / 4) * groupBytes);
      const x = place(4 * rows * inputs);
      const out = place(4 * rows * outputs);
      const prepared = place(4 * rows * inputs);
      const scales = place(4 * rows * blocks);
      const weights = new DataView(memory.buffer, weight, Math.ceil(outputs / 4) * groupBytes);
      for (let i = 0; i < weights.byteLength; i++) {
        const isHalf = i % unitBytes >= 4 * beside * block;
        // Between all others the least and greatest bytes. Halves are about 1.
        const byte = random() % 3 === 0 ? (random() % 2 === 0 ? 0x80 : 0x7f) : random() % 256;
        weights.setUint8(i, isHalf && i % 2 === 1 ? 0x3c : byte);
      }
      const floats = new Float32Array(memory.buffer, x, rows * inputs);
      for (let i = 0; i < floats.length; i++) {
        // The first block's numbers are too small for a scale that is a normal number.
        floats[i] = i < 32 ? 3e-37 : random() % 4 === 0 ? 1 : (random() / 2 ** 23 - 1) * 3;
      }
      // Some begin within a group.
      const from = outputs > 8 ? 3 : 0;
      const results = [0, found].map((dots) => {
        call("use_byte_dots", dots);
        call("matmul_weight", form, weight, inputs, groupBytes);
        const workBytes = call("matmul_work", rows, outputs, inputs);
        const work = place(workBytes);
        const [none, prepare] = [0, 1];
        call(
          "matmul",
          ...[x, rows, none, 0, outputs, from, outputs, none, none, 0, 0, out, outputs],
          ...[prepared, scales, work, workBytes, prepare],
        );
        return new Uint32Array(memory.buffer, out, rows * outputs).slice();
      });
      const [words, others] = results;
      shapes++;
      if (
        words === undefined ||
        (units > 1 && !words.some((bit) => bit !== 0)) ||
        words.some((bit, i) => bit !== others?.[i])
      ) {
        different.push(`${name}: ${rows} × ${inputs} → ${outputs}`);
      }
    }
  }
  return { found, shapes, different };
}
