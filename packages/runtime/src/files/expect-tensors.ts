import { formatShape, sameShape, WinnowError, type Shape } from "@winnow/core-tensor";

import { quote } from "./quote";
import type { TensorSource } from "./tensor-source";

/**
 * Check that a source holds exactly the tensors that a model's configuration calls for, before any is read.
 *
 * @param expected names and shapes.
 * @param ignored names that some checkpoints carry and no decoder needs, such as stored rotary frequencies.
 * @throws WinnowError `model` naming the file, the tensor, what was found and what was expected.
 */
export function expectTensors(source: TensorSource, expected: ReadonlyMap<string, Shape>, ignored?: RegExp): void {
  for (const [name, shape] of expected) {
    const found = source.tensors.get(name);
    if (found === undefined) {
      throw new WinnowError(
        "model",
        `${source.path}: tensor ${quote(name)} is missing; the configuration calls for it with shape ${formatShape(shape)}`,
      );
    }
    if (!sameShape(found.shape, shape)) {
      throw new WinnowError(
        "model",
        `${source.whereIs(name)} has shape ${formatShape(found.shape)}; expected ${formatShape(shape)} by the configuration`,
      );
    }
  }
  for (const name of source.tensors.keys()) {
    if (!expected.has(name) && ignored?.test(name) !== true) {
      throw new WinnowError("model", `${source.whereIs(name)} is unknown; the configuration does not call for it`);
    }
  }
}
