import type { Backend, DeviceTensor } from "@winnow/core-tensor";

import type { Engine } from "../engine";
import { LlamaWorkspace } from "../models/llama";

/** Memory for one token each of several sequences, read together. */
export class StepBuffers implements Disposable {
  /** u32 [capacity] */
  readonly positions: DeviceTensor;
  /** f32 [capacity, headDim] */
  readonly rotation: DeviceTensor;
  /** f32 [capacity, width] */
  readonly hidden: DeviceTensor;
  /** f32 [capacity, vocabulary]; of one sequence, that has a place for its own. */
  readonly logits: DeviceTensor | null;
  readonly workspace: LlamaWorkspace;

  /** @param capacity sequences at most. */
  constructor(
    { backend, llama }: Engine,
    readonly capacity: number,
  ) {
    const { heads, width, vocabulary } = llama.shape;
    this.positions = allocate(backend, "u32", [capacity]);
    this.rotation = allocate(backend, "f32", [capacity, heads.headDim]);
    this.hidden = allocate(backend, "f32", [capacity, width]);
    this.logits = capacity === 1 ? null : allocate(backend, "f32", [capacity, vocabulary]);
    this.workspace = new LlamaWorkspace(backend, llama.shape, capacity);
  }

  [Symbol.dispose](): void {
    this.workspace[Symbol.dispose]();
    for (const tensor of [this.positions, this.rotation, this.hidden, this.logits]) tensor?.[Symbol.dispose]();
  }
}

function allocate(backend: Backend, dtype: "f32" | "u32", shape: number[]): DeviceTensor {
  return backend.allocate(dtype, shape, { label: "step", category: "activations" });
}
