import { escapeMarkup } from "@winnow/profiler";

import type { Stroke } from "./stroke";

/** Which line is which. */
export function legend(lines: readonly (readonly [name: string, stroke: Stroke])[]): string {
  const items = lines.map(
    ([name, { colour, dash }]) =>
      `<li><svg viewBox="0 0 28 8" aria-hidden="true"><line x1="0" x2="28" y1="4" y2="4" stroke="${colour}" stroke-width="2.5" stroke-dasharray="${dash}"/></svg>${escapeMarkup(name)}</li>`,
  );
  return `<ul class="legend">${items.join("")}</ul>`;
}
