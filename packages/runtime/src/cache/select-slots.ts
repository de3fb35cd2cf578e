import type { Choice, CutJudge } from "./cut-judge";
import type { LayerProfile } from "./layer-profile";
import { withinWindow } from "./within-window";

/**
 * Mark in a profile's `keep` what the heads of layer l keep.
 *
 * @returns how many slots that is, by KV head.
 */
export async function selectSlots(
  { sequence, scores }: Pick<CutJudge, "sequence" | "scores">,
  l: number,
  { slots }: LayerProfile,
  choices: readonly Pick<Choice, "program">[],
): Promise<number[]> {
  const { backend, decoder } = sequence.engine;
  const { kvHeads } = decoder.shape.heads;
  backend.select({
    slots: slots.table,
    headsPerLayer: kvHeads,
    programs: choices.map(({ program }) => withinWindow(program, sequence.windowOf(l))),
    scores: scores.expressions,
    now: sequence.tokens.length - 1,
    firstRow: l * kvHeads,
    keep: slots.keep,
    kept: slots.kept,
  });
  return [...(await backend.download(slots.kept))];
}
