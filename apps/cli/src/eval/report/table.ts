import { percent } from "../../output/percent";
import { byPolicy, byTask, differs, type EvalReport } from "./eval-report";
import { cutPointText } from "../cut-point";
import { limitName, limitsOf, sameLimit, type Limit } from "../limit";
import type { EvalResult } from "../results";
import { versusText } from "./versus-text";

/** A table for terminals: a block a task, a line a policy, a column a limit; `*` marks what differs from the full cache. */
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
      [head, ...block(firstToken, width, ({ ms }, limit) => ms.toFixed(0).padStart(widthOf(limit) - 1)), ""].join("\n"),
    );
  }
  const foot = `scores in %, ${cutPointText(report.question)}; own and T: what a policy keeps by itself or for a recovery of T, with its bytes; * differs from the full cache (95 %, corrected by Holm)`;
  const versus = report.versus === null ? "" : `${versusText(report.versus)}\n`;
  return `${blocks.join("\n")}\n${foot}\n${versus}`;
}

/** A line a policy, the full cache apart, and a column a limit. */
function block<T extends Limit & { readonly policy: string }>(
  all: readonly T[],
  width: number,
  cellOf: (one: T, limit: Limit) => string,
): readonly string[] {
  const others = all.filter(({ policy }) => policy !== "full");
  const columns = limitsOf(others);
  const names = columns.map((limit) => limitName(limit).padStart(widthOf(limit)));
  const lines = [...byPolicy(others)].map(([policy, own]) => {
    const cells = columns.map((limit) => {
      const one = own.find((line) => sameLimit(line, limit));
      return (one === undefined ? "" : cellOf(one, limit)).padEnd(widthOf(limit));
    });
    return `  ${policy.padEnd(width)}${cells.join("")}`.trimEnd();
  });
  return lines.length === 0 ? [] : [`  ${"".padEnd(width)}${names.join("")}`, ...lines];
}

const widthOf = ({ target }: Limit): number => (target === null ? 17 : 9);

function cell(result: EvalResult, { target }: Limit): string {
  const score = `${percent(result.score)}${differs(result) ? "*" : " "}`.padStart(9);
  return target === null ? `${score} ${`(${Math.round((100 * result.bytes) / result.fullBytes)} %)`.padEnd(7)}` : score;
}
