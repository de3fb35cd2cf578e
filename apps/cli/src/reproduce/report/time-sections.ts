import { percent } from "../../output/percent";
import type { Latency } from "../latency";
import { TABLE_2, TABLE_3 } from "../paper";
import type { Profiling } from "../profiling";
import { points, seconds } from "./figures";
import type { Section } from "./section";

/** Table 2: how long whole requests take. */
export function latencySection(latency: readonly Latency[]): Section {
  return {
    title: "Table 2: seconds for a request, with the full cache and with FastGen",
    note: "From the prompt to the last token of the last sequence, medians over interleaved runs; the paper's figures are of Llama 1 7B on a V100.",
    head: [
      ...["prompt", "new", "batch", "full", "fastgen", "gain", "cache kept"],
      ...["paper: Hugging Face", "DeepSpeed", "FastGen", "gain"],
      ...(latency.some(({ kind }) => kind === "skipped") ? ["skipped"] : []),
    ],
    rows: latency.map((line) => {
      const { prompt, generated, batch } = line;
      const paper = TABLE_2.find((one) => one.prompt === prompt && one.generated === generated && one.batch === batch);
      return [
        ...[prompt, generated, batch].map(String),
        ...(line.kind === "measured"
          ? [seconds(line.full), seconds(line.fastgen), gain(line.full, line.fastgen), `${percent(line.kvShare)} %`]
          : ["–", "–", "–", "–"]),
        ...(paper === undefined
          ? ["", "", "", ""]
          : [
              ...[paper.huggingFace, paper.deepSpeed, paper.fastgen].map(seconds),
              gain(paper.deepSpeed, paper.fastgen),
            ]),
        ...(line.kind === "skipped" ? [line.reason] : []),
      ];
    }),
    picture: null,
  };
}

/** Table 3: what of a request is profiling. */
export function profilingSection({ promptTokens, context, profileMs, addedMs, lengths }: Profiling): Section {
  return {
    title: "Table 3: what of a request is profiling",
    note: `Behind a prompt of ${promptTokens} tokens. Asking the table, deciding and cutting takes ${profileMs.toFixed(1)} ms; reading the prompt, its recording included, takes ${addedMs.toFixed(1)} ms more than with the full cache. Answers that do not fit the context of ${context} tokens are left out. The paper's figures are of Llama 1 65B, whose profile takes 110 ms.`,
    head: ["new tokens", "whole, ms", "profiling, %", "paper, %"],
    rows: lengths.map(({ generated, wholeMs, share }) => {
      const paper = TABLE_3.find((one) => one.generated === generated);
      return [
        String(generated),
        wholeMs.toFixed(0),
        (100 * share).toFixed(2),
        paper === undefined ? "" : points(paper.share),
      ];
    }),
    picture: null,
  };
}

/** How many times as long the first takes. */
function gain(slower: number | null, faster: number | null): string {
  return slower === null || faster === null ? "–" : `${(slower / faster).toFixed(2)} ×`;
}
