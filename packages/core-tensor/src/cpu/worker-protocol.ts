import type { OperationName } from "../backend";
import type { CopySpan } from "../copy-check";
import type { DeviceTensor } from "../device-tensor";
import type { DType } from "../dtype";
import type { WinnowErrorCode } from "../errors";
import type { Shape } from "../shape";
import type { Tensor } from "../tensor";

export type Words = Float32Array | Uint32Array | Int32Array;

/** What the calling thread asks of the worker; commands take effect in order. */
export type Command =
  | {
      readonly kind: "create";
      readonly id: number;
      readonly source: Tensor;
      readonly label: string;
    }
  | {
      readonly kind: "allocate";
      readonly id: number;
      readonly dtype: DType;
      readonly shape: Shape;
      readonly label: string;
    }
  | { readonly kind: "dispose"; readonly id: number }
  | { readonly kind: "write"; readonly id: number; readonly data: Words; readonly offset: number }
  | { readonly kind: "clear"; readonly id: number }
  | ({ readonly kind: "copy"; readonly id: number; readonly target: number } & CopySpan)
  | { readonly kind: "run"; readonly name: OperationName; readonly spec: unknown }
  /** An operation that went wrong before it could be posted; its error is reported in its turn. */
  | { readonly kind: "fail"; readonly error: Failure }
  | {
      readonly kind: "download";
      readonly ticket: number;
      readonly id: number;
      readonly start: number;
      readonly count: number | null;
    }
  | { readonly kind: "flush"; readonly ticket: number };

/** An error as it travels. */
export interface Failure {
  readonly code: WinnowErrorCode;
  readonly message: string;
}

/** Commands posted together. Those of an epoch before the shared one were interrupted. */
export interface Batch {
  readonly epoch: number;
  readonly commands: readonly Command[];
}

export type Reply =
  | { readonly ticket: number; readonly data: Float32Array | Uint32Array | null }
  | { readonly ticket: number; readonly error: Failure };

/** What the worker is started with. */
export interface WorkerSetup {
  /** One word that holds the current epoch. */
  readonly epoch: SharedArrayBuffer;
  /** For its engine alone. */
  readonly own: unknown;
}

/** Stands for a tensor while a specification travels. */
interface TensorReference {
  readonly tensorId: number;
}

function isReference(value: object): value is TensorReference {
  return "tensorId" in value;
}

/**
 * A specification with every tensor replaced by its number, as it is now: what the caller changes afterwards does
 * not show.
 *
 * @param idOf the number of a tensor; throws where it is not one that can be used.
 */
export function encodeSpec(value: unknown, idOf: (tensor: DeviceTensor) => number): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Uint32Array) return value.slice();
  if (isTensor(value)) return { tensorId: idOf(value) } satisfies TensorReference;
  if (Array.isArray(value)) return value.map((item) => encodeSpec(item, idOf));
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, encodeSpec(item, idOf)]));
}

/** Nothing else in a specification can be disposed. */
function isTensor(value: object): value is DeviceTensor {
  return Symbol.dispose in value;
}

/** What `encodeSpec` was given, with the tensors that the numbers stand for here. */
export function decodeSpec(value: unknown, tensorOf: (id: number) => DeviceTensor): unknown {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
  if (isReference(value)) return tensorOf(value.tensorId);
  if (Array.isArray(value)) return value.map((item) => decodeSpec(item, tensorOf));
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, decodeSpec(item, tensorOf)]));
}
