import { NOT_A_TOKEN, type SampleSpec } from "../backend";
import { randomUnit } from "../expr";
import { fallingKeys, stableOrder } from "../stable-order";
import { f32Of, f32Rows, u32Of } from "./cpu-tensor";

/** Draw one token from a row of logits. */
export function sample(spec: SampleSpec): void {
  const logits = f32Rows("sample", "logits", spec.logits);
  const token = drawToken(logits, spec);
  u32Of(spec.token)[0] = token;
  f32Of(spec.logProbability)[0] = token === NOT_A_TOKEN ? NaN : logProbability(logits, token);
}

function drawToken(logits: Float32Array, { params, seen, choice, position }: SampleSpec): number {
  if (logits.some(Number.isNaN)) return NOT_A_TOKEN;
  const penalised = params.repetitionPenalty === 1 ? logits : penalise(logits, seen, params.repetitionPenalty);
  if (params.temperature === 0) return greatest(penalised);
  const ids = stableOrder(
    new Uint32Array(penalised.length).map((_, id) => id),
    fallingKeys(penalised),
  );
  const top = (penalised[ids[0] ?? 0] ?? 0) / params.temperature;
  // Beside an infinite logit no other has a chance.
  if (!Number.isFinite(top)) return ids[0] ?? 0;
  const limit = params.topK === 0 ? ids.length : Math.min(params.topK, ids.length);
  const weights = new Float64Array(limit);
  let total = 0;
  for (let i = 0; i < limit; i++) {
    weights[i] = Math.exp((penalised[ids[i] ?? 0] ?? 0) / params.temperature - top);
    total += weights[i] ?? 0;
  }
  let count = 0;
  let mass = 0;
  while (count < limit && mass < params.topP * total) mass += weights[count++] ?? 0;
  const least = params.minP * (weights[0] ?? 0);
  while (count > 1 && (weights[count - 1] ?? 0) < least) mass -= weights[--count] ?? 0;
  let left = randomUnit(params.seed, choice, position) * mass;
  for (let i = 0; i < count; i++) {
    left -= weights[i] ?? 0;
    if (left < 0) return ids[i] ?? 0;
  }
  return ids[count - 1] ?? 0;
}

/** The greatest logit; the lower id where two are equal. */
function greatest(logits: Float32Array): number {
  let best = 0;
  for (let id = 1; id < logits.length; id++) if ((logits[id] ?? 0) > (logits[best] ?? 0)) best = id;
  return best;
}

function penalise(logits: Float32Array, seen: Uint32Array, penalty: number): Float32Array {
  const out = Float32Array.from(logits);
  for (const id of new Set(seen)) {
    const logit = logits[id];
    if (logit !== undefined) out[id] = logit > 0 ? logit / penalty : logit * penalty;
  }
  return out;
}

function logProbability(logits: Float32Array, token: number): number {
  const top = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - top);
  return (logits[token] ?? 0) - top - Math.log(sum);
}
