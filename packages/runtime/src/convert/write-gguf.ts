import {
  WinnowError,
  elementCount,
  isQuantised,
  quantisedRow,
  type QuantisedType,
  type Shape,
} from "@winnow/core-tensor";

import { throwIfAborted } from "../abort";
import { GgufNames } from "../checkpoint/gguf-names";
import type { WeightDType } from "../files/tensor-source";
import { familyNamed } from "../models/families";
import { rotaryOf } from "../models/rope";
import type { ConvertSource } from "./convert-source";
import type { ConvertOptions } from "./convert-options";
import { elementBytes, storedBytes } from "./element-bytes";
import { ggufHeader, ggufPadding, type GgufTensorPlace } from "./gguf-header-writer";
import { ggufModelFields } from "./gguf-model-fields";
import { ggufTokenizerFields } from "./gguf-tokenizer-fields";
import { interleavePairs, rowsOf } from "./weight-rows";
import { writeParts } from "./whole-output";

/** ggml's numbers of types (ggml.h, `ggml_type`), and of files that are mostly of one (llama.h, `llama_ftype`). */
const TYPES: Readonly<Record<WeightDType, { readonly id: number; readonly fileType: number }>> = {
  f32: { id: 0, fileType: 0 },
  f16: { id: 1, fileType: 1 },
  q4_0: { id: 2, fileType: 2 },
  q4_1: { id: 3, fileType: 3 },
  q5_0: { id: 6, fileType: 8 },
  q5_1: { id: 7, fileType: 9 },
  q8_0: { id: 8, fileType: 7 },
  q4_k: { id: 12, fileType: 14 },
  q5_k: { id: 13, fileType: 16 },
  q6_k: { id: 14, fileType: 18 },
  bf16: { id: 30, fileType: 32 },
};

/** What has about as many bits for rows that blocks of 256 do not divide; llama.cpp takes the same. */
const FOR_OTHER_ROWS: Readonly<Partial<Record<QuantisedType, QuantisedType>>> = {
  q4_k: "q5_0",
  q5_k: "q5_1",
  q6_k: "q8_0",
};

interface Planned extends GgufTensorPlace {
  readonly dtype: WeightDType;
  /** The elements, some at a time. */
  rows(): AsyncGenerator<Float32Array>;
}

/**
 * Write a model as a GGUF file: matrices in a type, vectors in f32.
 *
 * @throws WinnowError `model`, `tokenizer` for what such files cannot say.
 */
export async function writeGguf(
  source: ConvertSource,
  path: string,
  type: WeightDType,
  options: ConvertOptions,
): Promise<void> {
  const { config, tokenizer, template, weights } = source;
  if (config.ropeScaling.kind === "dynamic") {
    throw new WinnowError("model", `${source.path}: rope_scaling "dynamic" has no place in a GGUF file`);
  }
  const names = new GgufNames(config.architecture);
  const { turnsNeighbours } = familyNamed(config.architecture).gguf;
  const planned: Planned[] = rotationTensors(source);
  for (const name of source.names) {
    const info = weights.tensors.get(name);
    const own = names.toGguf(name);
    if (info === undefined || own === null)
      throw new WinnowError("model", `${weights.whereIs(name)} has no name in a GGUF file`);
    const dtype = typeFor(info.shape, type);
    if (dtype !== type && info.shape.length > 1) {
      options.onNote?.(
        `${name} becomes ${dtype}: its rows of ${info.shape.at(-1) ?? 0} are not whole blocks of ${type}`,
      );
    }
    const paired = turnsNeighbours && /\.attn_[qk]\./.test(own);
    const offset = name.endsWith("norm.weight") ? config.normOffset : 0;
    const width = info.shape.length > 1 ? (info.shape.at(-1) ?? 1) : 1;
    planned.push({
      ...place(own, dtype, info.shape),
      async *rows() {
        const weight = await weights.read(name);
        // A vector of heads is turned as a matrix of one column is.
        const together = paired ? (info.shape.length > 1 ? config.headDim : elementCount(info.shape)) : 1;
        for (const rows of rowsOf(weight, together)) {
          const turned = paired ? interleavePairs(rows, config.headDim, width) : rows;
          yield offset === 0 ? turned : turned.map((value) => value + offset);
        }
      },
    });
  }
  const fields = ggufModelFields(config);
  fields.set("general.file_type", { type: "uint32", value: TYPES[type].fileType });
  for (const [key, field] of ggufTokenizerFields(tokenizer, template, config, `${source.path}: tokenizer`))
    fields.set(key, field);
  await writeParts(path, partsOf(ggufHeader(fields, planned), planned, options));
}

async function* partsOf(
  header: Uint8Array,
  planned: readonly Planned[],
  options: ConvertOptions,
): AsyncGenerator<Uint8Array> {
  yield header;
  for (const [i, tensor] of planned.entries()) {
    options.onProgress?.(i, planned.length);
    for await (const rows of tensor.rows()) {
      throwIfAborted(options.signal, "converting the model");
      yield elementBytes(tensor.dtype, rows);
    }
    yield new Uint8Array(ggufPadding(tensor.bytes));
  }
  options.onProgress?.(planned.length, planned.length);
}

function place(name: string, dtype: WeightDType, shape: Shape): GgufTensorPlace & { readonly dtype: WeightDType } {
  return { name, dtype, typeId: TYPES[dtype].id, shape, bytes: storedBytes(dtype, elementCount(shape)) };
}

/** The type asked for where rows are whole blocks of it, else the next that they are of. */
function typeFor(shape: Shape, type: WeightDType): WeightDType {
  if (shape.length === 1) return "f32";
  const width = shape.at(-1) ?? 1;
  if (!isQuantised(type) || isWhole(type, width)) return type;
  const other = FOR_OTHER_ROWS[type];
  return other !== undefined && isWhole(other, width) ? other : "f16";
}

function isWhole(type: QuantisedType, width: number): boolean {
  try {
    quantisedRow(type, width);
    return true;
  } catch {
    return false;
  }
}

/** Factors that rotary frequencies are slowed by, where a file has them as a tensor. */
function rotationTensors({ config }: ConvertSource): Planned[] {
  const { ropeScaling: scaling, headDim, ropeTheta, context } = config;
  const tensor = (name: string, factors: readonly number[]): Planned => ({
    ...place(name, "f32", [factors.length]),
    // eslint-disable-next-line @typescript-eslint/require-await
    async *rows() {
      yield Float32Array.from(factors);
    },
  });
  switch (scaling.kind) {
    case "factors":
      return [tensor("rope_freqs.weight", scaling.factors)];
    case "llama3": {
      const slowed = rotaryOf(headDim, ropeTheta, scaling, context).frequencies;
      const plain = rotaryOf(headDim, ropeTheta, { kind: "none" }, context).frequencies;
      return [
        tensor(
          "rope_freqs.weight",
          Array.from(plain, (frequency, i) => frequency / (slowed[i] ?? NaN)),
        ),
      ];
    }
    case "longrope":
      return [tensor("rope_factors_short.weight", scaling.short), tensor("rope_factors_long.weight", scaling.long)];
    default:
      return [];
  }
}
