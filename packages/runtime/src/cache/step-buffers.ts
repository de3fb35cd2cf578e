import type { Backend, DeviceTensor } from "@winnow/core-tensor";

import type { Engine } from "../engine";
import { LlamaWorkspace } from "../models/llama";

/** Memory that reading one token needs, allocated once for a sequence. */
export class StepBuffers implements Disposable {
  /** u32 [1] and f32 [1]: the token drawn last, and its log-probability. */
  readonly token: DeviceTensor;
  readonly logProbability: DeviceTensor;
  /** u32 [1] */
  readonly positions: DeviceTensor;
  /** f32 [1, headDim] */
  readonly rotation: DeviceTensor;
  /** f32 [1, width] */
  readonly hidden: DeviceTensor;
  readonly workspace: LlamaWorkspace;
  /** f32 [1, vocabulary]: of the newest token, and of the one that is read ahead. */
  #logits: DeviceTensor;
  #logitsAhead: DeviceTensor;

  constructor({ backend, llama }: Engine) {
    const { heads, width, vocabulary } = llama.shape;
    this.token = allocate(backend, "u32", [1]);
    this.logProbability = allocate(backend, "f32", [1]);
    this.positions = allocate(backend, "u32", [1]);
    this.rotation = allocate(backend, "f32", [1, heads.headDim]);
    this.hidden = allocate(backend, "f32", [1, width]);
    this.workspace = new LlamaWorkspace(backend, llama.shape, 1);
    this.#logits = allocate(backend, "f32", [1, vocabulary]);
    this.#logitsAhead = allocate(backend, "f32", [1, vocabulary]);
  }

  get logits(): DeviceTensor {
    return this.#logits;
  }

  get logitsAhead(): DeviceTensor {
    return this.#logitsAhead;
  }

  /** The token that was read ahead is the newest now. */
  advance(): void {
    [this.#logits, this.#logitsAhead] = [this.#logitsAhead, this.#logits];
  }

  [Symbol.dispose](): void {
    this.workspace[Symbol.dispose]();
    const { token, logProbability, positions, rotation, hidden, logits, logitsAhead } = this;
    const tensors = [token, logProbability, positions, rotation, hidden, logits, logitsAhead];
    for (const tensor of tensors) tensor[Symbol.dispose]();
  }
}

function allocate(backend: Backend, dtype: "f32" | "u32", shape: number[]): DeviceTensor {
  return backend.allocate(dtype, shape, { label: "step", category: "activations" });
}
