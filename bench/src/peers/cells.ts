import { formatBytes } from "@winnow/profiler";

import { roomFor } from "./job";
import type { PeerModelName } from "./model-names";
import { weightElements } from "./model-shape";
import { MODELS, type PeerModel } from "./models";
import { ENGINES, isHalfCut, isOnGpu, type Peer } from "./peer";

/** What is measured of one peer: tokens of so many answers at once behind so long a context. */
export interface Cell {
  readonly peer: Peer;
  readonly model: PeerModelName;
  readonly context: number;
  readonly batch: number;
  /** Whether the context is read, or the cache is filled as if it had been. */
  readonly start: "read" | "fill";
}

/** Which of the cells are measured; where nothing is chosen, those that a few minutes suffice for. */
export interface Choice {
  readonly models: readonly PeerModelName[];
  readonly contexts: readonly number[];
  readonly batches: readonly number[];
}

export const CONTEXTS: readonly number[] = [128, 1000, 4000, 16_000, 32_000];
export const BATCHES: readonly number[] = [1, 8, 32];
/** Prompts of up to so many tokens are read; behind longer ones caches are filled. */
export const MOST_READ = 4000;
/** Policies decide by what a prompt attends to, which random weights tell nothing of: short prompts show what deciding takes. */
const MOST_PROFILED = 1000;
const LEAST_HALF_CUT = 4000;
export const STEPS = 16;
/** Shapes that people have GPUs for. */
export const GPU_MODELS: readonly PeerModelName[] = ["1b f16", "1b q4_k", "8b f16", "8b q4_k"];
/** Bytes of a cache's number, counting every copy that an engine has of it at once. */
const CACHE_BYTES = { winnow: 4, "llama.cpp": 2, "transformers.js": 16 } as const;
const WEIGHT_BYTES = { q8_0: 34 / 32, f16: 4, q4_k: 148 / 256 } as const;
const FILE_BYTES = { q8_0: 34 / 32, f16: 2, q4_k: 144 / 256 } as const;
const MINUTE = 60;
const QUICKLY_LOADED = 1e9;
/** A second. */
const DISK_BYTES = 1e8;
/** What may be used of the machine's memory. */
const MEMORY_SHARE = 0.8;

/** The cells of a model, peers beside each other. */
export function planCells(choice: Choice, peers: readonly Peer[]): Cell[] {
  return choice.models.flatMap((model) =>
    choice.batches.flatMap((batch) =>
      choice.contexts.flatMap((context) =>
        peers.flatMap((peer) => (isMeasured(peer, model, context, batch) ? [cellOf(peer, model, context, batch)] : [])),
      ),
    ),
  );
}

/** The cells that are measured where nothing is chosen. */
export function defaultCells(peers: readonly Peer[]): Cell[] {
  const engines = peers.filter((peer) => ["full", undefined].includes(policyOf(peer)) && !isHalfCut(peer));
  return [
    ...planCells({ models: ["135m q8_0"], contexts: CONTEXTS, batches: [1] }, peers),
    ...planCells({ models: ["135m q8_0"], contexts: [1000], batches: [8, 32] }, peers),
    ...planCells({ models: ["135m f16"], contexts: [1000], batches: [1] }, engines),
    ...planCells(
      { models: ["1b q4_k"], contexts: [128], batches: [1] },
      engines.filter((peer) => !isOnGpu(peer)),
    ),
    ...planCells({ models: ["demo f16"], contexts: [128, 1000, 4000], batches: [1] }, peers),
    ...planCells({ models: GPU_MODELS, contexts: [128, 32_000], batches: [1] }, peers.filter(isOnGpu)),
  ];
}

function policyOf(peer: Peer): string | undefined {
  const engine = ENGINES[peer];
  return engine.kind === "winnow" ? engine.policy : undefined;
}

function isMeasured(peer: Peer, model: PeerModelName, context: number, batch: number): boolean {
  if (peer === "transformers.js" && !MODELS[model].onnx) return false;
  const policy = policyOf(peer);
  if (isHalfCut(peer)) return context >= LEAST_HALF_CUT;
  return policy === undefined || policy === "full" || (context <= MOST_PROFILED && batch === 1);
}

function cellOf(peer: Peer, model: PeerModelName, context: number, batch: number): Cell {
  const reads = batch === 1 && context <= MOST_READ && !isHalfCut(peer);
  return { peer, model, context, batch, start: reads ? "read" : "fill" };
}

/** What a cell's process may take, in seconds: a minute, and what loading a large model takes from a slow disk. */
export function mostSeconds(model: PeerModelName): number {
  const { type, shape } = MODELS[model];
  return MINUTE + Math.ceil(Math.max(0, FILE_BYTES[type] * weightElements(shape) - QUICKLY_LOADED) / DISK_BYTES);
}

/** Why a cell need not be tried; null where it should be. */
export function whySkipped({ peer, model, context, batch }: Cell, memoryBytes: number): string | null {
  const asked = MODELS[model];
  const { max_position_embeddings: most } = asked.shape;
  const tokens = context + roomFor({ steps: STEPS });
  if (tokens > most) return `${tokens} tokens are over the model's context of ${most}`;
  const needed = neededBytes(asked, peer, tokens * batch);
  const usable = MEMORY_SHARE * memoryBytes;
  if (needed <= usable) return null;
  return `about ${formatBytes(needed)} are over the ${formatBytes(usable)} that may be used of the machine's memory`;
}

function neededBytes({ type, shape }: PeerModel, peer: Peer, tokens: number): number {
  const { num_hidden_layers: layers, num_key_value_heads: kvHeads, head_dim: headDim } = shape;
  const engine = ENGINES[peer];
  const share = engine.kind === "winnow" ? engine.share : 1;
  return (
    WEIGHT_BYTES[type] * weightElements(shape) +
    2 * layers * kvHeads * headDim * tokens * share * CACHE_BYTES[engine.kind]
  );
}
