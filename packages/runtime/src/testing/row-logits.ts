import { extend } from "../cache/extend";
import { Sequence } from "../cache/sequence";
import type { Model } from "../model";
import { resolveSession } from "../session/resolve-policy";

/** What a model thinks follows each of these tokens, with the full cache: one row of logits a token. */
export async function rowLogits(model: Model, ids: readonly number[]): Promise<Float32Array[]> {
  using sequence = new Sequence(model.engine, resolveSession({ policy: "full" }, model).policy);
  const { vocabulary } = model.config;
  const found: Float32Array[] = [];
  const onLogits = (_: number, logits: Float32Array): void => {
    for (let at = 0; at < logits.length; at += vocabulary) found.push(logits.slice(at, at + vocabulary));
  };
  await extend(sequence, ids, null, { score: { from: 0, onLogits } });
  return found;
}
