import { exportOnnx } from "@winnow/onnx-export";

import { goldenPrompt } from "../golden-prompt";
import { LLAMA_31_8B, LLAMA_32_1B } from "../gpu/shapes";
import { keptFile, keptGguf } from "../kept-file";
import demoConfig from "../../../models/demo/config.json";
import type { PeerModelName } from "./model-names";
import type { ModelShape } from "./model-shape";
import { SMOLLM2_135M } from "./smollm2";

/** What cells are planned by, and processes told. */
export interface PeerModel {
  readonly type: "q8_0" | "f16" | "q4_k";
  readonly shape: ModelShape;
  /** `config.json` of the shape that weights are made for; null for a model with its own. */
  readonly config: object | null;
  /** Whether Transformers.js runs it: ONNX has no product for blocks of blocks, and has halves widened, as many bytes again. */
  readonly onnx: boolean;
}

export const MODELS: Readonly<Record<PeerModelName, PeerModel>> = {
  "135m q8_0": { type: "q8_0", shape: SMOLLM2_135M, config: SMOLLM2_135M, onnx: true },
  "135m f16": { type: "f16", shape: SMOLLM2_135M, config: SMOLLM2_135M, onnx: true },
  "1b f16": { type: "f16", shape: LLAMA_32_1B, config: LLAMA_32_1B, onnx: false },
  "1b q4_k": { type: "q4_k", shape: LLAMA_32_1B, config: LLAMA_32_1B, onnx: false },
  "8b f16": { type: "f16", shape: LLAMA_31_8B, config: LLAMA_31_8B, onnx: false },
  "8b q4_k": { type: "q4_k", shape: LLAMA_31_8B, config: LLAMA_31_8B, onnx: false },
  "demo f16": { type: "f16", shape: demoConfig, config: null, onnx: true },
};

const STRIDE = 7919;

/** What every peer reads: text of the demo model's world, or ids in an order without a pattern. */
export function promptFor({ config, shape }: PeerModel, tokens: number): number[] {
  if (config === null && tokens < shape.max_position_embeddings) return goldenPrompt(tokens);
  return Array.from({ length: tokens }, (_, i) => (i * STRIDE) % shape.vocab_size);
}

/** Where one model lies for each engine; null for one that does not run it. */
export interface PeerFiles {
  readonly gguf: string;
  readonly onnx: string | null;
}

/** The files of a model, made where they are not there yet and kept for the next run. */
export async function peerFiles(name: PeerModelName): Promise<PeerFiles> {
  const model = MODELS[name];
  const [shape = name] = name.split(" ");
  const gguf = await keptGguf(shape, model.type, { name: shape, config: model.config });
  if (!model.onnx) return { gguf, onnx: null };
  const onnx = await keptFile(`${shape}-${model.type}-onnx`, (path) => exportOnnx(gguf, path));
  return { gguf, onnx };
}
