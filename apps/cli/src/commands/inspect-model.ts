import { totalmem } from "node:os";

import { KV_TYPES, bytesOf, elementCount, fitsKvType, isQuantised, kvRowBytes, tensorBytes } from "@winnow/core-tensor";
import { PRESETS } from "@winnow/kv-policies";
import { estimateCache, formatBytes } from "@winnow/profiler";
import { defaultPageSlots, openCheckpoint, type Checkpoint, type ModelConfig } from "@winnow/runtime";

import { resolveModel } from "../hub/resolve-model";
import { printJson } from "../output/result";
import { printTable } from "../output/table";

export interface InspectModelFlags {
  readonly tokens?: number;
  readonly json?: boolean;
}

/** Weights of one type. */
interface TypeUse {
  readonly dtype: string;
  readonly tensors: number;
  readonly bytes: number;
}

/** Whether a model runs with a policy in this machine's memory, on the CPU backend. */
interface Fit {
  readonly policy: string;
  readonly leastBytes: number;
  readonly mostBytes: number;
  readonly verdict: "fits" | "fits if heads keep little" | "does not fit";
}

/** Of the machine's memory, what a program can hope for. */
const USABLE = 0.9;

/** Print what a model is, how large it is, and whether it will fit. */
export async function inspectModel(model: string, { tokens, json }: InspectModelFlags): Promise<void> {
  const { place } = await resolveModel(model);
  await using checkpoint = await openCheckpoint(place);
  const config = await checkpoint.config();
  const tokenizer = await checkpoint.tokenizer();
  const { sampling } = await checkpoint.generation();
  const { types, parameters, onCpuBytes } = await weightsOf(checkpoint);
  const { layers, queryHeads, kvHeads, headDim } = config;
  const asked = Math.min(tokens ?? config.context, config.context);
  const windows = config.sights.map(({ window }) => window);
  const caches = KV_TYPES.filter((type) => fitsKvType(type, headDim)).map((kvType) => ({
    kvType,
    bytesPerToken: 2 * layers * kvHeads * kvRowBytes(kvType, headDim),
    fullBytes: cacheOf(config, kvType, "full", asked).fullBytes,
  }));
  const memoryBytes = totalmem();
  const fits = Object.keys(PRESETS).map((policy) => fitOf(config, policy, asked, onCpuBytes, memoryBytes));
  if (json === true) {
    const { architecture: family, context, vocabulary } = config;
    printJson({
      ...{ family, parameters, weights: types, layers, queryHeads, kvHeads, headDim, windows, context, vocabulary },
      ...{ tokens: asked, caches, onCpu: { weightBytes: onCpuBytes, memoryBytes, fits } },
    });
    return;
  }
  const seeing = windows.filter((window) => window !== null);
  printTable([
    ["family", config.architecture],
    ["parameters", `${(parameters / 1e6).toFixed(2)} M`],
    ...types.map(
      ({ dtype, tensors, bytes }, i) =>
        [i === 0 ? "weights" : "", `${formatBytes(bytes)} of ${dtype} in ${tensors} tensors`] as const,
    ),
    ["layers", `${layers} of ${queryHeads} query heads on ${kvHeads} KV heads of size ${headDim}`],
    ...(seeing.length === 0
      ? []
      : [
          [
            "windows",
            `${seeing.length} layers see ${[...new Set(seeing)].join(", ")} positions, the others all`,
          ] as const,
        ]),
    ["width", `${config.width}, feed-forward ${config.feedForward}`],
    ["head", config.tiedHead ? "tied to the embedding" : "of its own"],
    ["rotation", `base ${config.ropeTheta}, scaling ${config.ropeScaling.kind}`],
    ["vocabulary", `${tokenizer.size} tokens, ${tokenizer.specialIds.size} of them special`],
    ["context", `${config.context} tokens`],
    ["sampling", `temperature ${sampling.temperature}, top-k ${sampling.topK}, top-p ${sampling.topP}`],
    ...caches.map(
      ({ kvType, bytesPerToken, fullBytes }, i) =>
        [
          i === 0 ? "KV cache" : "",
          `${formatBytes(bytesPerToken)} a token in ${kvType}, ${formatBytes(fullBytes)} for ${asked} tokens`,
        ] as const,
    ),
    [
      "on the CPU",
      `${formatBytes(onCpuBytes)} of weights in ${formatBytes(memoryBytes)} of memory, and of cache in f32:`,
    ],
    ...fits.map(
      ({ policy, leastBytes, mostBytes, verdict }) =>
        [
          "",
          `${policy}: ${leastBytes === mostBytes ? "" : `${formatBytes(leastBytes)} to `}${formatBytes(mostBytes)}, ${verdict}`,
        ] as const,
    ),
  ]);
}

async function weightsOf(checkpoint: Checkpoint): Promise<{
  readonly types: readonly TypeUse[];
  readonly parameters: number;
  /** As the CPU backend holds them: floats in f32, quantised ones as they are. */
  readonly onCpuBytes: number;
}> {
  await using weights = await checkpoint.weights();
  const byType = new Map<string, TypeUse>();
  let [parameters, onCpuBytes] = [0, 0];
  for (const { dtype, bytes, shape } of weights.tensors.values()) {
    const known = byType.get(dtype) ?? { dtype, tensors: 0, bytes: 0 };
    byType.set(dtype, { dtype, tensors: known.tensors + 1, bytes: known.bytes + bytes });
    const elements = elementCount(shape);
    parameters += elements;
    onCpuBytes += isQuantised(dtype) ? tensorBytes(dtype, shape) : bytesOf("f32", elements);
  }
  return { types: [...byType.values()], parameters, onCpuBytes };
}

function cacheOf(config: ModelConfig, kvType: (typeof KV_TYPES)[number], policy: string, tokens: number) {
  const preset = PRESETS[policy]?.build([]);
  if (preset === undefined) throw new RangeError(`no preset is called ${policy}`);
  const windows = config.sights.map(({ window }) => window);
  const shape = { ...config, windows, pageSlots: defaultPageSlots(config.context), kvType };
  return estimateCache(shape, preset, tokens);
}

function fitOf(config: ModelConfig, policy: string, tokens: number, weightBytes: number, memoryBytes: number): Fit {
  const { leastBytes, mostBytes } = cacheOf(config, "f32", policy, tokens);
  const room = USABLE * memoryBytes - weightBytes;
  const verdict = mostBytes <= room ? "fits" : leastBytes <= room ? "fits if heads keep little" : "does not fit";
  return { policy, leastBytes, mostBytes, verdict };
}
