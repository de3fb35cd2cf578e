import { byPolicy, byTask, differs, type EvalReport } from "./eval-report";
import type { EvalResult } from "../results";

/** A table for terminals: a block a task, a line a policy, a column a target; `*` marks what differs from the full cache. */
export function evalTable(report: EvalReport): string {
  const targets = [...new Set(report.results.flatMap(({ target }) => target ?? []))].sort((a, b) => b - a);
  const width = Math.max(8, ...report.results.map(({ policy }) => policy.length));
  const blocks = [...byTask(report)].map(([task, results]) => {
    const [full] = results;
    const head = `${task}, ${full?.samples ?? 0} samples, full cache ${score(full)}`;
    const names = `  ${"".padEnd(width)}${targets.map((target) => `${Math.round(target * 100)} %`.padStart(9)).join("")}`;
    const lines = [...byPolicy(results)]
      .filter(([policy]) => policy !== "full")
      .map(([policy, own]) => {
        const fixed = own.find(({ target }) => target === null);
        const cells =
          fixed === undefined
            ? targets.map((target) => cell(own.find((one) => one.target === target))).join("")
            : `${cell(fixed)} with ${Math.round((100 * fixed.bytes) / fixed.fullBytes)} % of the bytes`;
        return `  ${policy.padEnd(width)}${cells}`;
      });
    return [head, ...(lines.length === 0 ? [] : [names, ...lines]), ""].join("\n");
  });
  const asked = report.question === "seen" ? "question seen" : "question not seen";
  const foot = `scores in %, ${asked} before the cut; * differs from the full cache (95 %, corrected by Holm)`;
  return `${blocks.join("\n")}\n${foot}\n`;
}

function cell(result: EvalResult | undefined): string {
  if (result === undefined) return "".padStart(9);
  return `${score(result)}${differs(result) ? "*" : " "}`.padStart(9);
}

function score(result: EvalResult | undefined): string {
  return result === undefined ? "" : (100 * result.score).toFixed(1);
}
