import { mkdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

import { convertModel, directoryFiles, type ModelFiles } from "@winnow/runtime";
import { exportOnnx } from "@winnow/onnx-export";

import { goldenPrompt } from "../golden-prompt";
import { randomModelFiles } from "../gpu/random-model";
import { tell } from "../progress";
import { repositoryRoot } from "../repository";
import type { PeerModelName } from "./model-names";
import { SMOLLM2_135M } from "./smollm2";

/** What cells are planned by, and processes told. */
export interface PeerModel {
  readonly type: "q8_0" | "f16";
  /** The longest sequence, in tokens. */
  readonly context: number;
  readonly vocabulary: number;
  readonly layers: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Elements of all weights. */
  readonly weights: number;
  /** `config.json` of the shape that weights are made for; null for a model with its own. */
  readonly config: object | null;
}

const SMOLLM2 = { context: 32_768, vocabulary: 49_152, layers: 30, kvHeads: 3, headDim: 64, weights: 134_515_008 };

export const MODELS: Readonly<Record<PeerModelName, PeerModel>> = {
  "135m q8_0": { type: "q8_0", config: SMOLLM2_135M, ...SMOLLM2 },
  "135m f16": { type: "f16", config: SMOLLM2_135M, ...SMOLLM2 },
  "demo f16": {
    type: "f16",
    config: null,
    context: 1024,
    vocabulary: 1296,
    layers: 4,
    kvHeads: 4,
    headDim: 32,
    weights: 2_693_376,
  },
};

const STRIDE = 7919;

/** What every peer reads: text of the demo model's world, or ids in an order without a pattern. */
export function promptFor(model: PeerModel, tokens: number): number[] {
  if (model.config === null && tokens < model.context) return goldenPrompt(tokens);
  return Array.from({ length: tokens }, (_, i) => (i * STRIDE) % model.vocabulary);
}

/** Where one model lies for each engine. */
export interface PeerFiles {
  readonly gguf: string;
  readonly onnx: string;
}

/** The files of a model, made where they are not there yet and kept for the next run. */
export async function peerFiles(name: PeerModelName): Promise<PeerFiles> {
  const { type, config } = MODELS[name];
  const root = repositoryRoot();
  const folder = join(root, ".cache", "bench");
  await mkdir(folder, { recursive: true });
  const base = join(folder, `peers-${name.replace(" ", "-")}`);
  const demo = join(root, "models", "demo");
  const from: string | ModelFiles =
    config === null ? demo : randomModelFiles("SmolLM2-135M", config, directoryFiles(demo));
  const gguf = await made(`${base}.gguf`, (path) => convertModel(from, path, { type }));
  const onnx = await made(`${base}-onnx`, (path) => exportOnnx(gguf, path));
  return { gguf, onnx };
}

/** A run that is broken off leaves nothing that the next takes for whole. */
async function made(path: string, make: (path: string) => Promise<unknown>): Promise<string> {
  if ((await stat(path).catch(() => null)) !== null) return path;
  tell(`making ${path}, once`);
  const unfinished = join(dirname(path), `unfinished-${basename(path)}`);
  await rm(unfinished, { recursive: true, force: true });
  await make(unfinished);
  await rename(unfinished, path);
  return path;
}
