import type { HeadReport } from "@winnow/profiler";
import type { Model } from "@winnow/runtime";

import { throwIfInterrupted } from "../interrupt";
import { profiledHeads, promptTokensFor, type StructureOptions } from "./profiled-heads";
import { promptOf } from "./prompt-of";

/** Which candidates heads take, by layer (figure 3). */
export interface PoliciesByLayer {
  readonly recovery: number;
  /** In the order of the chain. */
  readonly policies: readonly string[];
  /** By layer and then policy: of the heads of all prompts, those that took it. */
  readonly layers: readonly (readonly number[])[];
}

/** @throws WinnowError `aborted` */
export async function measurePolicies(model: Model, options: StructureOptions): Promise<PoliciesByLayer> {
  const { seed, samples, recovery, signal, onProgress } = options;
  const prompts: (readonly (readonly HeadReport[])[])[] = [];
  for (let sample = 0; sample < samples; sample++) {
    throwIfInterrupted(signal);
    const { ids } = promptOf(model, promptTokensFor(model, 0), seed, sample);
    prompts.push(await profiledHeads(model, ids, recovery, "prompt"));
    onProgress?.();
  }
  const policies = prompts[0]?.[0]?.[0]?.candidates.map(({ policy }) => policy) ?? [];
  const layers = Array.from({ length: model.config.layers }, (_, l) => {
    const heads = prompts.flatMap((found) => found[l] ?? []);
    return policies.map((policy) => heads.filter((head) => head.policy === policy).length / heads.length);
  });
  return { recovery, policies, layers };
}
