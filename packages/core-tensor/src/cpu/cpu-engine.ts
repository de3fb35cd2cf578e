import type { BackendOperations, OperationName } from "../backend";
import type { DType } from "../dtype";
import type { Shape } from "../shape";
import type { Tensor } from "../tensor";
import type { CpuMemory } from "./cpu-memory";
import type { Poll } from "./poll";

/** What an engine makes of host data: what its tensors are and take. */
export interface CpuHolding {
  /** As what type uploaded data is held. */
  typeOf(source: { readonly dtype: DType; readonly shape: Shape }): DType;
  /** Bytes of a tensor that is held as this type. */
  bytesOf(dtype: DType, shape: Shape): number;
}

export type CpuOperations = {
  readonly [Name in OperationName]: (spec: BackendOperations[Name], poll: Poll) => void;
};

/** What computes in a CPU backend: where tensors lie, and what every operation does with them. */
export interface CpuEngine extends Disposable {
  readonly holding: CpuHolding;
  /**
   * May replace some of the reference's, which take tensors of every engine. What a product gives a row may not depend on the
   * rows beside it, of which there may be 31: {@link BackendMemory.stepRows}.
   */
  readonly operations: CpuOperations;

  /**
   * Zeros.
   *
   * @param shape elements of `dtype`, which is no quantised type.
   * @throws WinnowError `memory` where there is not so much of it, `dtype` for types that the engine does not compute with.
   */
  allocate(dtype: DType, shape: Shape, label: string): CpuMemory;

  /** Memory that holds this; the engine takes the data over. */
  hold(source: Tensor, label: string): CpuMemory;
}
