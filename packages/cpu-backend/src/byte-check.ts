import type { Machine } from "./machine";
import { GROUP, formOf, groupBytes } from "./weight-form";

/** Of `ByteDots` in `kernels/byte-dots.h`. */
const NO_BYTES = 0;
const BLOCK = 32;
const INPUTS = 2 * BLOCK;
const OUTPUTS = 2 * GROUP;
/** Bytes of a row's block, halves apart. */
const TYPES = { q4_0: BLOCK / 2, q8_0: BLOCK };

/**
 * Have products take bytes where the runtime multiplies them exactly, alone and in kernels.
 *
 * V8's baseline compiler has had products of bytes wrong where operands came to lie in certain registers, from its version 11.3
 * to 11.8 at least, so that a test of nothing but the instruction passed: products as they are used have to give the bits that
 * 16-bit numbers give. 12.4 has them right.
 *
 * @returns whether they take bytes of some type of weights.
 */
export function useBytesWhereExact(machine: Machine): boolean {
  const { kernels } = machine;
  const found = kernels.find_byte_dots();
  const agrees =
    found !== NO_BYTES &&
    (["q4_0", "q8_0"] as const).every((type) =>
      // One row is multiplied with a weight as it lies, and of five some together with a widened one.
      [1, 5].every((rows) => {
        const bytes = productBits(machine, type, rows, found);
        return productBits(machine, type, rows, NO_BYTES).every((bits, i) => bits === bytes[i]);
      }),
    );
  kernels.use_byte_dots(agrees ? found : NO_BYTES);
  return agrees;
}

function productBits({ kernels, work, threads }: Machine, type: keyof typeof TYPES, rows: number, dots: number) {
  kernels.use_byte_dots(dots);
  const group = groupBytes(type, INPUTS) ?? 0;
  const weightBytes = (OUTPUTS / GROUP) * group;
  const workBytes = kernels.matmul_work(rows, OUTPUTS, INPUTS);
  const [weight = 0, x = 0, out = 0, prepared = 0, scales = 0, threadWork = 0] = work.reserve(
    weightBytes,
    4 * rows * INPUTS,
    4 * rows * OUTPUTS,
    4 * rows * INPUTS,
    (4 * rows * INPUTS) / BLOCK,
    threads * workBytes,
  );
  const unit = GROUP * (TYPES[type] + 2);
  const whole = GROUP * TYPES[type];
  // Any bytes; halves of 1.
  work.bytes(weight, weightBytes).forEach((_, i, all) => {
    all[i] = i % unit < whole ? i * 37 + 11 : i % 2 === 0 ? 0 : 0x3c;
  });
  work.floats(x, rows * INPUTS).forEach((_, i, all) => {
    all[i] = ((i * 7919) % 255) - 127;
  });
  kernels.matmul_weight(formOf(type), weight, INPUTS, group);
  const [none, prepare] = [0, 1];
  kernels.matmul(
    ...([x, rows, none, 0, OUTPUTS, 0, OUTPUTS, none, none, 0, 0, out, OUTPUTS] as const),
    ...([prepared, scales, threadWork, workBytes, prepare] as const),
  );
  return work.words(out, rows * OUTPUTS).slice();
}
