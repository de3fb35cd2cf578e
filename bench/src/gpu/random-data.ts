import { numberToF16, randomUnit, tensor, type Backend, type DeviceTensor } from "@winnow/core-tensor";

/** Values are repeated after so many: a prime, so that rows of a matrix do not repeat each other. */
const PERIOD = 1_048_573;
/** About what weights of language models are; larger ones would overflow after many layers. */
const WEIGHT_SCALE = 0.02;

let values: Float32Array | null = null;
let weights: Uint8Array | null = null;

/** Numbers in [-1, 1), the same each time. */
function randomValues(): Float32Array {
  return (values ??= Float32Array.from(
    { length: PERIOD },
    (_, i) => 2 * randomUnit(1, Math.floor(i / 65_536), i % 65_536) - 1,
  ));
}

export function randomFloats(count: number): Float32Array {
  const data = new Float32Array(count);
  repeat(randomValues(), data, 0);
  return data;
}

/** A tensor of random numbers in [-1, 1). */
export function randomTensor(backend: Backend, shape: readonly number[]): DeviceTensor {
  const data = randomFloats(shape.reduce((product, extent) => product * extent, 1));
  return backend.upload(tensor("f32", shape, data), { label: "bench", category: "activations" });
}

/** Fill `target` with bytes of random f16 weights, those from byte `position` on of an endless file of them. */
export function randomWeightBytes(target: Uint8Array, position: number): void {
  weights ??= new Uint8Array(Uint16Array.from(randomValues(), (value) => numberToF16(WEIGHT_SCALE * value)).buffer);
  repeat(weights, target, position);
}

function repeat<A extends Float32Array | Uint8Array>(period: A, target: A, position: number): void {
  let from = position % period.length;
  for (let at = 0; at < target.length; from = 0) {
    const part = period.subarray(from, from + target.length - at);
    target.set(part, at);
    at += part.length;
  }
}
