import { escapeMarkup } from "@winnow/profiler";

import { htmlPage } from "../../eval/report/page";
import type { Reproduction } from "../reproduction";
import type { Section } from "./section";
import { sectionsOf } from "./sections";

/** The paper's tables and figures, measured on a model, as one page without any outside resource. */
export function reproductionHtml(reproduction: Reproduction): string {
  const { model, backend, seed } = reproduction;
  const body = `<h1>FastGen's tables and figures on ${escapeMarkup(model)}</h1>
<p>Measured on ${escapeMarkup(backend)}, seed ${seed}, beside the figures of the paper (arXiv 2310.01801).</p>
${sectionsOf(reproduction).map(sectionHtml).join("\n")}`;
  return htmlPage(`FastGen's tables and figures on ${model}`, body);
}

function sectionHtml({ title, note, head, rows, picture }: Section): string {
  const names = head.map((name) => `<th scope="col">${escapeMarkup(name)}</th>`);
  const lines = rows.map((row) => `<tr>${row.map((cell) => `<td>${escapeMarkup(cell)}</td>`).join("")}</tr>`);
  return `<h2>${escapeMarkup(title)}</h2>
<p class="quiet">${escapeMarkup(note)}</p>
${picture === null ? "" : `<figure>${picture}</figure>`}
<div style="overflow-x:auto"><table><thead><tr>${names.join("")}</tr></thead><tbody>${lines.join("")}</tbody></table></div>`;
}
