import {
  firstNonFiniteRow,
  isQuantised,
  quantisedRow,
  tensor,
  toFloat32,
  WinnowError,
  type Backend,
  type DeviceTensor,
  type Shape,
  type Tensor,
} from "@winnow/core-tensor";

import { throwIfAborted } from "../abort";
import { allocateWeight, bytesOfWeight, weightOver } from "../files/allocate-weight";
import { quote } from "../files/quote";
import type { TensorInfo, TensorSource, WeightTensor } from "../files/tensor-source";
import type { Linear, LinearPart } from "./linear";

/** What a linear map is made of: tensors one below the other. */
export interface LinearNames {
  /** Of its parts, without `.weight` and `.bias`. */
  readonly parts: readonly string[];
  readonly bias: boolean;
}

/**
 * Puts a model's weights on a device, each read when it is asked for: besides what the device holds there are never more in
 * memory than the parts of one of them.
 */
export class WeightLoader {
  constructor(
    private readonly source: TensorSource,
    private readonly backend: Backend,
    private readonly signal: AbortSignal | undefined,
  ) {}

  /**
   * A vector, or several behind one another, as floats.
   *
   * @param offset is added to each element.
   * @param shape of the whole; one dimension unless told otherwise.
   * @throws WinnowError `numeric` when an element is not a finite number, `aborted`.
   */
  async vector(label: string, names: readonly string[], offset = 0, shape?: Shape): Promise<DeviceTensor> {
    const read = await this.#read(names, false);
    if (offset === 0 && shape === undefined) return this.#upload(label, read);
    const data = toFloat32(read).map((value) => value + offset);
    return this.#upload(label, tensor("f32", shape ?? read.shape, data));
  }

  /** A matrix as it is stored: an embedding, or the head. */
  async matrix(label: string, name: string): Promise<DeviceTensor> {
    return this.#upload(label, await this.#read([name], true));
  }

  /** A linear map as one product. Parts that are stored in several types are widened to f32. */
  async linear(label: string, { parts, bias }: LinearNames): Promise<Linear> {
    const weight = this.#upload(
      label,
      await this.#read(
        parts.map((part) => `${part}.weight`),
        true,
      ),
    );
    return {
      weight,
      bias: bias
        ? await this.vector(
            `${label}Bias`,
            parts.map((part) => `${part}.bias`),
          )
        : null,
    };
  }

  /** A linear map as products side by side, one for neighbours that are stored alike. */
  async linearParts(label: string, { parts, bias }: LinearNames): Promise<readonly LinearPart[]> {
    const runs: string[][] = [];
    let before: string | undefined;
    for (const part of parts) {
      const type = this.source.tensors.get(`${part}.weight`)?.dtype;
      const run = runs.at(-1);
      if (run !== undefined && type === before) run.push(part);
      else runs.push([part]);
      before = type;
    }
    const made: LinearPart[] = [];
    let column = 0;
    for (const run of runs) {
      const linear = await this.linear(runs.length === 1 ? label : `${label}${made.length}`, { parts: run, bias });
      made.push({ ...linear, column });
      column += linear.weight.shape[0] ?? 0;
    }
    return made;
  }

  /** Tensors one below the other: in their own type where they share it and it may stay, else in f32. */
  async #read(names: readonly string[], keepsType: boolean): Promise<WeightTensor> {
    const { source, signal } = this;
    const infos = names.map((name) => infoIn(source, name));
    const [first] = infos;
    if (first === undefined) throw new WinnowError("model", "a weight is made of no tensors");
    const isUniform = infos.every(({ dtype }) => dtype === first.dtype);
    const dtype = isUniform && (keepsType || !isQuantised(first.dtype)) ? first.dtype : "f32";
    const shape = [infos.reduce((sum, info) => sum + (info.shape[0] ?? 0), 0), ...first.shape.slice(1)];
    const whole = allocateWeight(dtype, shape, source.whereIs(names[0] ?? ""));
    const bytes = bytesOfWeight(whole);
    let at = 0;
    for (const [i, name] of names.entries()) {
      throwIfAborted(signal, "loading the model");
      const info = infos[i] ?? first;
      if (info.dtype === dtype) {
        const target = bytes.subarray(at, at + info.bytes);
        await source.readInto(target, name);
        expectFinite(weightOver(target, info), source.whereIs(name));
        at += info.bytes;
      } else {
        const part = await source.read(name);
        expectFinite(part, source.whereIs(name));
        const wide = toFloat32(part);
        bytes.set(new Uint8Array(wide.buffer, wide.byteOffset, wide.byteLength), at);
        at += wide.byteLength;
      }
    }
    return whole;
  }

  #upload(label: string, weight: Tensor): DeviceTensor {
    return this.backend.upload(weight, { label, category: "weights" });
  }
}

function infoIn(source: TensorSource, name: string): TensorInfo {
  const info = source.tensors.get(name);
  if (info === undefined) throw new WinnowError("model", `${source.path}: no tensor ${quote(name)}`);
  return info;
}

/** @throws WinnowError `numeric` naming the first element that is infinite or not a number. */
function expectFinite(weight: WeightTensor, what: string): void {
  const at = firstNonFinite(weight);
  if (at === null) return;
  throw new WinnowError(
    "numeric",
    `${what} has a value at ${at} that is not a finite number; the file is damaged or the model diverged`,
  );
}

function firstNonFinite(weight: WeightTensor): string | null {
  // Plain loops: a call for each of billions of weights would take longer than reading them.
  switch (weight.dtype) {
    case "f32": {
      const { data } = weight;
      for (let i = 0; i < data.length; i++) if (!Number.isFinite(data[i])) return `element ${i}`;
      return null;
    }
    case "f16":
    case "bf16": {
      const { data } = weight;
      const exponent = weight.dtype === "f16" ? 0x7c00 : 0x7f80;
      for (let i = 0; i < data.length; i++) if (((data[i] ?? 0) & exponent) === exponent) return `element ${i}`;
      return null;
    }
    default: {
      const row = firstNonFiniteRow(quantisedRow(weight.dtype, weight.shape.at(-1) ?? 1), weight.data);
      return row < 0 ? null : `row ${row}`;
    }
  }
}
