import type { Backend, DeviceTensor } from "@winnow/core-tensor";

import type { Engine } from "../engine";
import { DecoderWorkspace } from "../models/decoder";
import { StepOperations } from "./step-operations";

/** Memory for the rows of a step: the token that each of several sequences has drawn, and their drafts. */
export class StepBuffers implements Disposable {
  /** u32 [capacity] */
  readonly positions: DeviceTensor;
  /** f32 [capacity, headDim], of each of the model's rotaries. */
  readonly rotations: readonly DeviceTensor[];
  /** f32 [capacity, width] */
  readonly hidden: DeviceTensor;
  /** f32 [capacity, vocabulary]; null for one row, whose sequence has a place for its own. */
  readonly logits: DeviceTensor | null;
  readonly workspace: DecoderWorkspace;
  readonly operations: StepOperations;

  /** @param capacity rows at most. */
  constructor(
    engine: Engine,
    readonly capacity: number,
  ) {
    const { backend, decoder, rotaries } = engine;
    const { heads, width, vocabulary } = decoder.shape;
    this.positions = allocate(backend, "u32", [capacity]);
    this.rotations = rotaries.all.map(() => allocate(backend, "f32", [capacity, heads.headDim]));
    this.hidden = allocate(backend, "f32", [capacity, width]);
    this.logits = capacity === 1 ? null : allocate(backend, "f32", [capacity, vocabulary]);
    this.workspace = new DecoderWorkspace(backend, decoder.shape, capacity);
    this.operations = new StepOperations(engine, this);
  }

  [Symbol.dispose](): void {
    this.workspace[Symbol.dispose]();
    for (const tensor of [this.positions, ...this.rotations, this.hidden, this.logits]) tensor?.[Symbol.dispose]();
  }
}

function allocate(backend: Backend, dtype: "f32" | "u32", shape: number[]): DeviceTensor {
  return backend.allocate(dtype, shape, { label: "step", category: "activations" });
}
