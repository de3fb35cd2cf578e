import { byPolicy, byTask, columnsOf, differs, type EvalReport } from "./eval-report";
import type { EvalResult } from "../results";

/** A table for terminals: a block a task, a line a policy, a column a target; `*` marks what differs from the full cache. */
export function evalTable(report: EvalReport): string {
  const width = Math.max(8, ...report.results.map(({ policy }) => policy.length));
  const blocks = [...byTask(report)].map(([task, results]) => {
    const [full] = results;
    const others = results.filter(({ policy }) => policy !== "full");
    const columns = columnsOf(others);
    const head = `${task}, ${full?.samples ?? 0} samples, full cache ${percent(full?.score ?? 0)}`;
    const names = columns.map((target) =>
      target === null ? "own".padStart(17) : `${Math.round(target * 100)} %`.padStart(9),
    );
    const lines = [...byPolicy(others)].map(([policy, own]) => {
      const cells = columns.map((target) =>
        cell(
          own.find((one) => one.target === target),
          target === null,
        ),
      );
      return `  ${policy.padEnd(width)}${cells.join("")}`.trimEnd();
    });
    return [head, ...(lines.length === 0 ? [] : [`  ${"".padEnd(width)}${names.join("")}`, ...lines]), ""].join("\n");
  });
  const asked = report.question === "seen" ? "question seen" : "question not seen";
  const foot = `scores in %, ${asked} before the cut; own: what a policy keeps by itself, with its bytes; * differs from the full cache (95 %, corrected by Holm)`;
  return `${blocks.join("\n")}\n${foot}\n`;
}

function cell(result: EvalResult | undefined, withBytes: boolean): string {
  if (result === undefined) return "".padStart(withBytes ? 17 : 9);
  const score = `${percent(result.score)}${differs(result) ? "*" : " "}`.padStart(9);
  return withBytes ? `${score} ${`(${Math.round((100 * result.bytes) / result.fullBytes)} %)`.padEnd(7)}` : score;
}

function percent(share: number): string {
  return (100 * share).toFixed(1);
}
