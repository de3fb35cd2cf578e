import type { DType } from "./dtype";
import type { Shape } from "./shape";

/**
 * A handle to memory that a backend owns. Dispose it (or declare it with `using`) to give the bytes back;
 * using it afterwards is an error of the operation that does.
 */
export interface DeviceTensor extends Disposable {
  /** Unique within its backend. */
  readonly id: number;
  readonly label: string;
  readonly dtype: DType;
  readonly shape: Shape;
  readonly bytes: number;
  readonly disposed: boolean;
}

/** Whether something in a specification is a tensor: nothing else there can be disposed. */
export function isDeviceTensor(value: object): value is DeviceTensor {
  return Symbol.dispose in value;
}

/** `count` consecutive rows of a tensor whose rows are everything behind its first dimension. */
export interface Rows {
  readonly tensor: DeviceTensor;
  readonly start: number;
  readonly count: number;
}

/** @example rows(hidden, 0, 4) */
export function rows(tensor: DeviceTensor, start = 0, count = (tensor.shape[0] ?? 0) - start): Rows {
  return { tensor, start, count };
}
