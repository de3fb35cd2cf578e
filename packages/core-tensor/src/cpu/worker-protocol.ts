import type { CopySpan } from "../copy-check";
import type { DType } from "../dtype";
import type { WinnowErrorCode } from "../errors";
import type { Shape } from "../shape";
import type { Tensor } from "../tensor";

export type Words = Float32Array | Uint32Array | Int32Array;

/** What the calling thread asks of the worker besides operations. */
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
  /** An operation that went wrong before it could be posted; its error is reported in its turn. */
  | { readonly kind: "fail"; readonly error: Failure }
  | { readonly kind: "download"; readonly ticket: number; readonly parts: readonly Part[] }
  | { readonly kind: "flush"; readonly ticket: number };

/** Elements of a tensor. */
export interface Part {
  readonly id: number;
  readonly start: number;
  readonly end: number;
}

/** An error as it travels. */
export interface Failure {
  readonly code: WinnowErrorCode;
  readonly message: string;
}

/**
 * What is posted together. An epoch before the shared one was interrupted.
 *
 * The numbers are a stream of operations and commands in order: an operation is its name and its specification, a command its
 * kind and its numbers (`putCommand`), or the word `command` and its place among these.
 */
export interface Batch {
  readonly epoch: number;
  readonly numbers: Float64Array;
  readonly names: readonly string[];
  readonly commands: readonly Command[];
}

/** Stands in a batch's stream where a command takes effect; no operation is called so. */
export const COMMAND = "command";

export type Reply =
  /** The parts that were asked for, packed; none of a flush. */
  { readonly ticket: number; readonly packed: Uint32Array } | { readonly ticket: number; readonly error: Failure };

/** What the worker is started with. */
export interface WorkerSetup {
  /** One word that holds the current epoch. */
  readonly epoch: SharedArrayBuffer;
  /** For its engine alone. */
  readonly own: unknown;
}
