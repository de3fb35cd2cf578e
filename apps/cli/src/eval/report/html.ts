import { percent } from "../../output/percent";
import { escapeMarkup } from "@winnow/profiler";

import { byPolicy, byTask, differs, type EvalReport } from "./eval-report";
import { headMap } from "./head-map";
import { meanShares } from "../shares";
import { cutPointText } from "../cut-point";
import { versusText } from "./versus-text";
import { htmlPage } from "./page";
import { legend } from "./legend";
import { strokeOf } from "./stroke";
import { taskPlot } from "./task-plot";
import { limitName, limited, limitsOf, sameLimit, type Limit } from "../limit";
import type { EvalResult } from "../results";

/** Everything that an evaluation found, as one page without any outside resource: plots, tables, what heads keep, and what went wrong. */
export function evalHtml(report: EvalReport): string {
  const policies = [...new Set(report.results.map(({ policy }) => policy))].filter((policy) => policy !== "full");
  const tasks = [...byTask(report)].map(([task, results]) => taskSection(task, results, policies));
  const body = `<h1>What ${escapeMarkup(report.model)} still answers with less cache</h1>
<p>Contexts of at most ${report.tokens} tokens, ${cutPointText(report.question)}, seed ${report.seed}, on ${escapeMarkup(report.backend)}. Bytes are those of the kept slots and their columns, keys and values counted in f16.</p>
${legend(policies.map((policy) => [policy, strokeOf(policies, policy)]))}
${tasks.join("\n")}
${versusSection(report)}${firstTokens(report)}<h2>What heads keep</h2>
<p class="note">The share of the prompt that each KV head keeps, a mean over all samples of all tasks: a row a layer, a column a head.</p>
<div class="maps">${headMaps(report).join("")}</div>
<h2>Right with the full cache, wrong without</h2>
${flips(report)}`;
  return htmlPage(`${report.model}: quality by bytes kept`, body);
}

function taskSection(task: string, results: readonly EvalResult[], policies: readonly string[]): string {
  const [full] = results;
  const others = results.filter(({ policy }) => policy !== "full");
  const limits = limitsOf(others);
  const rows = [...byPolicy(others)].map(([policy, own]) => {
    const cells = limits.map((limit) =>
      cell(
        own.find((one) => sameLimit(one, limit)),
        others,
      ),
    );
    return `<tr><td>${escapeMarkup(policy)}</td>${cells.join("")}</tr>`;
  });
  return `<h2>${escapeMarkup(task)}</h2>
<p class="quiet">${full?.samples ?? 0} samples; full cache ${percent(full?.score ?? 0)}.</p>
<figure>${taskPlot(task, results, policies)}</figure>
<div style="overflow-x:auto"><table><thead><tr><th scope="col">Policy</th>${headings(limits)}</tr></thead><tbody>${rows.join("")}</tbody></table></div>
<p class="note">Scores in %; own and T: what a policy keeps by itself or for a recovery of T; bold: the best at this target; *: differs from the full cache (95 %, corrected by Holm over the whole report).</p>`;
}

function cell(result: EvalResult | undefined, results: readonly EvalResult[]): string {
  if (result === undefined) return "<td></td>";
  const rivals = results.filter(({ target }) => target === result.target);
  const isBest = result.target !== null && result.score >= Math.max(...rivals.map(({ score }) => score));
  const title = `${percent(result.low)} to ${percent(result.high)}; KL ${result.kl.toFixed(3)}; ${percent(result.agreement)} of first choices; ${percent(result.bytes / result.fullBytes)} of the bytes`;
  return `<td${isBest ? ' class="best"' : ""} title="${escapeMarkup(title)}">${percent(result.score)}${differs(result) ? "*" : ""}</td>`;
}

function versusSection({ versus }: EvalReport): string {
  if (versus === null) return "";
  return `<h2>${escapeMarkup(versus.policy)} against the others</h2>
<p style="white-space:pre-line">${escapeMarkup(versusText(versus))}.</p>
`;
}

function firstTokens({ firstToken }: EvalReport): string {
  if (firstToken.length === 0) return "";
  const limits = limitsOf(firstToken);
  const rows = [...byPolicy(firstToken)].map(([policy, own]) => {
    const cells = limits.map((limit) => `<td>${own.find((one) => sameLimit(one, limit))?.ms.toFixed(0) ?? ""}</td>`);
    return `<tr><td>${escapeMarkup(policy)}</td>${cells.join("")}</tr>`;
  });
  return `<h2>Time to first token</h2>
<p class="note">Reading a prompt, its probe and its cut, in ms: the median of some prompts.</p>
<div style="overflow-x:auto"><table><thead><tr><th scope="col">Policy</th>${headings(limits)}</tr></thead><tbody>${rows.join("")}</tbody></table></div>
`;
}

function headings(limits: readonly Limit[]): string {
  return limits.map((limit) => `<th scope="col">${limitName(limit)}</th>`).join("");
}

function headMaps(report: EvalReport): string[] {
  const cells = new Map<string, EvalResult[]>();
  for (const result of report.results) {
    if (result.policy === "full") continue;
    const name = limited(result.policy, result);
    cells.set(name, [...(cells.get(name) ?? []), result]);
  }
  return [...cells].map(([name, results]) => headMap(name, meanShares(results.map(({ shares }) => shares))));
}

function flips({ results }: EvalReport): string {
  const wrong = results.filter(({ flipped }) => flipped.length > 0);
  if (wrong.length === 0) return "<p>None.</p>";
  return wrong
    .map((result) => {
      const { task, policy, flipped } = result;
      const items = flipped.map(
        ({ sample, question, answer }) =>
          `<li><span class="quiet">${sample}</span> ${escapeMarkup(question)} — ${escapeMarkup(answer)}</li>`,
      );
      return `<details><summary>${escapeMarkup(`${task}, ${limited(policy, result)}`)}: ${flipped.length}</summary><ul>${items.join("")}</ul></details>`;
    })
    .join("\n");
}
