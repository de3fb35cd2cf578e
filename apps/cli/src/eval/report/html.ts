import { escapeMarkup } from "@winnow/profiler";

import { byPolicy, byTask, differs, type EvalReport } from "./eval-report";
import { headMap } from "./head-map";
import { meanShares } from "../shares";
import { versusText } from "./versus-text";
import { strokeOf, taskPlot } from "./plot";
import { limitName, limited, limitsOf, sameLimit, type Limit } from "../limit";
import type { EvalResult } from "../results";

const STYLE = `
:root { color-scheme: light dark; --ink: #1b1f24; --quiet: #57606a; --page: #fff; --line: #d8dee4 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --quiet: #9198a1; --page: #0d1117; --line: #30363d } }
body { font: 15px/1.5 ui-sans-serif, system-ui, sans-serif; color: var(--ink); background: var(--page); max-width: 64rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.4rem } h2 { font-size: 1.15rem; margin-top: 2.2rem } h3 { font-size: 1rem }
p.note, .quiet { color: var(--quiet) }
figure { margin: 1rem 0; overflow-x: auto } svg { max-width: 100%; height: auto }
svg .grid { stroke: var(--line) } svg .full { stroke: var(--ink); stroke-dasharray: 2 2 } svg text { font: 11px ui-sans-serif, system-ui, sans-serif } svg .tick { fill: var(--quiet) }
table { border-collapse: collapse; font-variant-numeric: tabular-nums } th, td { text-align: right; padding: .2rem .6rem; border-bottom: 1px solid var(--line) }
th { color: var(--quiet); font-weight: 500 } th:first-child, td:first-child { text-align: left } .best { font-weight: 700 }
ul.legend { display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; list-style: none; padding: 0; margin: .5rem 0 } .legend svg { width: 28px; height: 8px; vertical-align: 2px; margin-right: .35rem }
.maps { display: flex; flex-wrap: wrap; gap: 1.2rem } .maps figure { margin: 0 }
details { margin: .4rem 0 } summary { cursor: pointer } li { margin: .15rem 0 }
`;

/** Everything that an evaluation found, as one page without any outside resource: plots, tables, what heads keep, and what went wrong. */
export function evalHtml(report: EvalReport): string {
  const policies = [...new Set(report.results.map(({ policy }) => policy))].filter((policy) => policy !== "full");
  const legend = policies.map((policy) => {
    const { colour, dash } = strokeOf(policies, policy);
    return `<li><svg viewBox="0 0 28 8" aria-hidden="true"><line x1="0" x2="28" y1="4" y2="4" stroke="${colour}" stroke-width="2.5" stroke-dasharray="${dash}"/></svg>${escapeMarkup(policy)}</li>`;
  });
  const asked =
    report.question === "seen"
      ? "The question was read before the cut."
      : "The cache was cut before the question was read.";
  const tasks = [...byTask(report)].map(([task, results]) => taskSection(task, results, policies));
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeMarkup(`${report.model}: quality by bytes kept`)}</title>
<style>${STYLE}</style>
<h1>What ${escapeMarkup(report.model)} still answers with less cache</h1>
<p>${asked} Contexts of at most ${report.tokens} tokens, seed ${report.seed}, on ${escapeMarkup(report.backend)}. Bytes are those of the kept slots and their columns, keys and values counted in f16.</p>
<ul class="legend">${legend.join("")}</ul>
${tasks.join("\n")}
${versusSection(report)}${firstTokens(report)}<h2>What heads keep</h2>
<p class="note">The share of the prompt that each KV head keeps, a mean over all samples of all tasks: a row a layer, a column a head.</p>
<div class="maps">${headMaps(report).join("")}</div>
<h2>Right with the full cache, wrong without</h2>
${flips(report)}
</html>
`;
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

function percent(share: number): string {
  return (100 * share).toFixed(1);
}
