import { rows } from "@winnow/core-tensor";

import { randomTensor } from "./random-data";
import type { OperationRow, Skipped } from "./result";
import type { ShapeBench } from "./shape-bench";
import { sampleWork } from "./work";

/** Drawing a token from the model's vocabulary, in the way that has most to do. */
export async function measureSample(bench: ShapeBench): Promise<OperationRow | Skipped> {
  const { backend, model } = bench;
  const { vocabulary } = model.config;
  const name = "sample, top-p";
  const options = { label: "bench", category: "activations" } as const;
  return await bench.attempt(name, async () => {
    using logits = randomTensor(backend, [1, vocabulary]);
    using token = backend.allocate("u32", [1], options);
    using logProbability = backend.allocate("f32", [1], options);
    return await bench.operation(name, sampleWork(vocabulary), (repetition) => {
      backend.sample({
        logits: rows(logits),
        params: { temperature: 0.8, topK: 0, topP: 0.9, minP: 0, repetitionPenalty: 1, seed: 1 },
        seen: new Uint32Array(0),
        choice: 0,
        position: repetition,
        token,
        logProbability,
      });
    });
  });
}
