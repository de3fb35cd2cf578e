import { WinnowError } from "@winnow/core-tensor";
import { expectedTensors, parseModelConfig, type ModelFiles, type RangedFile } from "@winnow/runtime";

import { randomWeightBytes } from "./random-data";

const LENGTH_BYTES = 8;
const F16_BYTES = 2;

/**
 * The files of a model of any shape with random weights in f16, which are made as they are read: nothing is on disk, and
 * in memory there is never more than the tensor that is read.
 *
 * @param name for messages.
 * @param config what `config.json` says.
 * @param tokenizer files whose tokenizer the model has; it may have fewer tokens than the model.
 */
export function randomModelFiles(name: string, config: object, tokenizer: ModelFiles): ModelFiles {
  const pathOf = (file: string): string => `${name}/${file}`;
  return {
    path: name,
    pathOf,
    expectPlace: () => Promise.resolve(),
    readText: async (file) => (file === "config.json" ? JSON.stringify(config) : await tokenizer.readText(file)),
    open: (file) => Promise.resolve(file === "model.safetensors" ? randomWeights(pathOf(file), config) : null),
  };
}

/** A safetensors file: the length of its header, the header, and the tensors one behind the other. */
function randomWeights(path: string, config: object): RangedFile {
  const header: Record<string, object> = {};
  let end = 0;
  for (const [tensor, shape] of expectedTensors(parseModelConfig(config, path))) {
    const bytes = F16_BYTES * shape.reduce((product, extent) => product * extent, 1);
    header[tensor] = { dtype: "F16", shape, data_offsets: [end, end + bytes] };
    end += bytes;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const start = new Uint8Array(LENGTH_BYTES + text.length);
  new DataView(start.buffer).setBigUint64(0, BigInt(text.length), true);
  start.set(text, LENGTH_BYTES);
  const size = start.length + end;
  return {
    path,
    size,
    read: (target, position) => {
      if (position + target.length > size) {
        const end = position + target.length;
        return Promise.reject(new WinnowError("file", `${path} ends at byte ${size}, before byte ${end}`));
      }
      const fromStart = start.subarray(position, position + target.length);
      target.set(fromStart);
      if (fromStart.length < target.length) {
        randomWeightBytes(target.subarray(fromStart.length), Math.max(0, position - start.length));
      }
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  };
}
