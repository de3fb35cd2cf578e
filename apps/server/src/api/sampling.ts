import { randomInt } from "node:crypto";

import type { GenerateOptions } from "@winnow/runtime";

import type { SamplingRequest } from "./sampling-schema";

/** How tokens are drawn for a request; without a seed, each time anew. */
export function samplingOf(request: SamplingRequest): GenerateOptions {
  const { stop, seed } = request;
  return {
    temperature: request.temperature ?? undefined,
    topP: request.top_p ?? undefined,
    topK: request.top_k ?? undefined,
    minP: request.min_p ?? undefined,
    repetitionPenalty: request.repetition_penalty ?? undefined,
    seed: seed == null ? randomInt(2 ** 32) : Number(BigInt.asUintN(32, BigInt(seed))),
    stop: stop == null ? [] : [stop].flat(),
  };
}
