import { mkdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

import { convertModel, directoryFiles, type ModelFiles } from "@winnow/runtime";
import { exportOnnx } from "@winnow/onnx-export";

import { goldenPrompt } from "../golden-prompt";
import { randomModelFiles } from "../gpu/random-model";
import { tell } from "../progress";
import demoConfig from "../../../models/demo/config.json";
import { repositoryRoot } from "../repository";
import type { PeerModelName } from "./model-names";
import type { ModelShape } from "./model-shape";
import { SMOLLM2_135M } from "./smollm2";

/** What cells are planned by, and processes told. */
export interface PeerModel {
  readonly type: "q8_0" | "f16";
  readonly shape: ModelShape;
  /** `config.json` of the shape that weights are made for; null for a model with its own. */
  readonly config: object | null;
}

export const MODELS: Readonly<Record<PeerModelName, PeerModel>> = {
  "135m q8_0": { type: "q8_0", shape: SMOLLM2_135M, config: SMOLLM2_135M },
  "135m f16": { type: "f16", shape: SMOLLM2_135M, config: SMOLLM2_135M },
  "demo f16": { type: "f16", shape: demoConfig, config: null },
};

const STRIDE = 7919;

/** What every peer reads: text of the demo model's world, or ids in an order without a pattern. */
export function promptFor({ config, shape }: PeerModel, tokens: number): number[] {
  if (config === null && tokens < shape.max_position_embeddings) return goldenPrompt(tokens);
  return Array.from({ length: tokens }, (_, i) => (i * STRIDE) % shape.vocab_size);
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
