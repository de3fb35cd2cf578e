import { percent } from "../../output/percent";
import { SHARE_NAMES } from "@winnow/profiler";

import { legend } from "../../eval/report/legend";
import { strokeOf } from "../../eval/report/stroke";
import type { PoliciesByLayer } from "../policies-by-layer";
import type { Stability } from "../stability";
import { points } from "./figures";
import type { Section } from "./section";
import { stackedBars } from "./stacked-bars";

/** Figure 3: which candidates heads take, by layer. */
export function policiesSection({ recovery, policies: texts, layers }: PoliciesByLayer): Section {
  const policies = texts.map((text, i) => addedTo(texts[i - 1], text));
  return {
    title: "Figure 3: what heads take, by layer",
    note: `At T = ${points(recovery)} %, in % of a layer's heads over all prompts. In the paper the first and the last layers hold more heads with a full cache.`,
    head: ["layer", ...policies],
    rows: layers.map((shares, l) => [String(l), ...shares.map(percent)]),
    picture: [
      legend(policies.map((policy) => [policy, { ...strokeOf(policies, policy), dash: "" }])),
      stackedBars(policies, [{ name: "layer", bars: layers.map((shares, l) => ({ name: String(l), shares })) }]),
    ].join("\n"),
  };
}

/** What a candidate keeps beyond the one before it, where it keeps that too. */
function addedTo(before: string | undefined, policy: string): string {
  return before !== undefined && policy.startsWith(`${before} | `) ? `+ ${policy.slice(before.length + 3)}` : policy;
}

/** Figure 4: whether heads go on as they began. */
export function stabilitySection({ promptTokens, steps }: Stability): Section {
  const heads = (steps[0]?.heads ?? []).flatMap((layer, l) => layer.map((_, h) => ({ l, h })));
  return {
    title: "Figure 4: attention while text is generated",
    note: `Prompts of ${promptTokens} tokens and what the full cache writes behind them. Same: heads that would take the candidate which they took at the prompt's end. Moved: attention that goes elsewhere than then, among special tokens, punctuation, what is recent, what is frequent, and the rest; of all rows, and of the latest. In the paper the structure stays.`,
    head: ["tokens", "same, %", "moved, %", "latest rows, %"],
    rows: steps.map(({ generated, same, moved, lateMoved }) => [
      String(generated),
      ...[same, moved, lateMoved].map(percent),
    ]),
    picture: [
      legend(SHARE_NAMES.map((name) => [name, { ...strokeOf(SHARE_NAMES, name), dash: "" }])),
      stackedBars(
        SHARE_NAMES,
        heads.map(({ l, h }) => ({
          name: `layer ${l}, head ${h}`,
          bars: steps.map(({ generated, heads: layers }) => {
            const shares = layers[l]?.[h] ?? null;
            return { name: String(generated), shares: SHARE_NAMES.map((name) => shares?.[name] ?? 0) };
          }),
        })),
      ),
    ].join("\n"),
  };
}
