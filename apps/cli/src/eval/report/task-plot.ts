import { percent } from "../../output/percent";
import { limited } from "../limit";
import type { EvalResult } from "../results";
import { byPolicy } from "./eval-report";
import { linePlot, percentTicks } from "./line-plot";
import { strokeOf } from "./stroke";

/** Score against the bytes that were kept, a line a policy, with 95 % intervals. */
export function taskPlot(task: string, results: readonly EvalResult[], policies: readonly string[]): string {
  const full = results.find(({ policy }) => policy === "full");
  const least = Math.min(...results.map(({ score }) => score), 1);
  const floor = Math.max(0, Math.floor((least - 0.05) * 10) / 10);
  const summary = results.map((result) => `${limited(result.policy, result)}: ${percent(result.score)}`);
  const lines = [...byPolicy(results)].filter(([policy]) => policy !== "full");
  return linePlot({
    label: `${task}: score by bytes kept. ${summary.join("; ")}`,
    x: {
      ...{ from: 0, to: 1, title: "bytes kept, of the full cache's" },
      ticks: [0, 0.25, 0.5, 0.75, 1].map((at) => ({ at, label: `${100 * at} %` })),
    },
    y: { from: floor, to: 1, ticks: percentTicks(floor, 1, floor < 0.5 ? 0.2 : 0.1) },
    level: full === undefined ? null : { y: full.score, label: `full cache ${percent(full.score)}` },
    lines: lines.map(([policy, own]) => ({
      stroke: strokeOf(policies, policy),
      points: own.map(({ bytes, fullBytes, score, low, high }) => ({
        ...{ x: bytes / fullBytes, y: score, low, high },
        title: `${policy}, ${percent(bytes / fullBytes)} % of the bytes: ${percent(score)} (${percent(low)} to ${percent(high)})`,
      })),
    })),
  });
}
