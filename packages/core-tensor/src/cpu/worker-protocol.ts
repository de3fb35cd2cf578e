import type { BackendOperations, OperationName } from "../backend";
import type { DeviceTensor } from "../device-tensor";
import type { DType } from "../dtype";
import type { WinnowErrorCode } from "../errors";
import type { Shape } from "../shape";

export type Words = Float32Array | Uint32Array | Int32Array;

/** What the calling thread asks of the worker; commands take effect in order. */
export type Command =
  | { readonly kind: "create"; readonly id: number; readonly dtype: DType; readonly shape: Shape; readonly label: string; readonly data: Words }
  | { readonly kind: "allocate"; readonly id: number; readonly dtype: DType; readonly shape: Shape; readonly label: string }
  | { readonly kind: "dispose"; readonly id: number }
  | { readonly kind: "write"; readonly id: number; readonly data: Words; readonly offset: number }
  | { readonly kind: "clear"; readonly id: number }
  | { readonly kind: "run"; readonly name: OperationName; readonly spec: unknown }
  | { readonly kind: "download"; readonly ticket: number; readonly id: number; readonly start: number; readonly count: number | null }
  | { readonly kind: "flush"; readonly ticket: number };

/** Commands posted together. Those of an epoch before the shared one were interrupted. */
export interface Batch {
  readonly epoch: number;
  readonly commands: readonly Command[];
}

export type Reply =
  | { readonly ticket: number; readonly data: Words | null }
  | { readonly ticket: number; readonly error: { readonly code: WinnowErrorCode; readonly message: string } };

/** What the worker is started with: one word that holds the current epoch. */
export interface WorkerSetup {
  readonly epoch: SharedArrayBuffer;
}

/** Stands for a tensor while a specification travels. */
interface TensorReference {
  readonly tensorId: number;
}

function isReference(value: object): value is TensorReference {
  return "tensorId" in value;
}

/** A specification with every tensor replaced by its number; typed arrays are copied when the message is. */
export function encodeSpec(value: unknown, isTensor: (value: object) => value is DeviceTensor): unknown {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
  if (isTensor(value)) return { tensorId: value.id } satisfies TensorReference;
  if (Array.isArray(value)) return value.map((item) => encodeSpec(item, isTensor));
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, encodeSpec(item, isTensor)]));
}

/** The specification again, with the tensors that the numbers stand for here. */
export function decodeSpec<Name extends OperationName>(
  spec: unknown,
  tensorOf: (id: number) => DeviceTensor,
): BackendOperations[Name] {
  const decode = (value: unknown): unknown => {
    if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
    if (isReference(value)) return tensorOf(value.tensorId);
    if (Array.isArray(value)) return value.map(decode);
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, decode(item)]));
  };
  // The other thread made it from a specification of this name, and `encodeSpec` changed nothing but the tensors.
  return decode(spec) as BackendOperations[Name];
}
