import { byPolicy, byTask, columnsOf, differs, type EvalReport } from "./eval-report";
import type { EvalResult } from "../results";

/** A table for terminals: a block a task, a line a policy, a column a target; `*` marks what differs from the full cache. */
export function evalTable(report: EvalReport): string {
  const width = Math.max(8, ...report.results.map(({ policy }) => policy.length));
  const blocks = [...byTask(report)].map(([task, results]) => {
    const [full] = results;
    const head = `${task}, ${full?.samples ?? 0} samples, full cache ${percent(full?.score ?? 0)}`;
    return [head, ...block(results, width, cell), ""].join("\n");
  });
  const { firstToken } = report;
  const wholeMs = firstToken.find(({ policy }) => policy === "full")?.ms ?? 0;
  if (firstToken.length > 0) {
    const head = `time to first token in ms, the median of some prompts, full cache ${wholeMs.toFixed(0)}`;
    blocks.push(
      [head, ...block(firstToken, width, ({ ms }, target) => ms.toFixed(0).padStart(widthOf(target) - 1)), ""].join(
        "\n",
      ),
    );
  }
  const asked = report.question === "seen" ? "question seen" : "question not seen";
  const foot = `scores in %, ${asked} before the cut; own: what a policy keeps by itself, with its bytes; * differs from the full cache (95 %, corrected by Holm)`;
  return `${blocks.join("\n")}\n${foot}\n`;
}

/** A line a policy, the full cache apart, and a column a target. */
function block<T extends { readonly policy: string; readonly target: number | null }>(
  all: readonly T[],
  width: number,
  cellOf: (one: T, target: number | null) => string,
): readonly string[] {
  const others = all.filter(({ policy }) => policy !== "full");
  const columns = columnsOf(others);
  const names = columns.map((target) =>
    (target === null ? "own" : `${Math.round(target * 100)} %`).padStart(widthOf(target)),
  );
  const lines = [...byPolicy(others)].map(([policy, own]) => {
    const cells = columns.map((target) => {
      const one = own.find((line) => line.target === target);
      return (one === undefined ? "" : cellOf(one, target)).padEnd(widthOf(target));
    });
    return `  ${policy.padEnd(width)}${cells.join("")}`.trimEnd();
  });
  return lines.length === 0 ? [] : [`  ${"".padEnd(width)}${names.join("")}`, ...lines];
}

const widthOf = (target: number | null): number => (target === null ? 17 : 9);

function cell(result: EvalResult, target: number | null): string {
  const score = `${percent(result.score)}${differs(result) ? "*" : " "}`.padStart(9);
  return target === null ? `${score} ${`(${Math.round((100 * result.bytes) / result.fullBytes)} %)`.padEnd(7)}` : score;
}

function percent(share: number): string {
  return (100 * share).toFixed(1);
}
