import type { Reproduction } from "../reproduction";
import { sectionsOf } from "./sections";

/** Tables for terminals. */
export function reproductionText(reproduction: Reproduction): string {
  return sectionsOf(reproduction)
    .map(({ title, note, head, rows }) => [title, ...wrapped(note), ...columns([head, ...rows]), ""].join("\n"))
    .join("\n");
}

const LINE = 110;

function wrapped(text: string): readonly string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last === undefined || last.length + word.length >= LINE) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}

/** Lines of a table: the first and a last column of words to the left, the others to the right. */
function columns(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, c) => Math.max(...rows.map((row) => (row[c] ?? "").length)));
  return rows.map((row) => {
    const cells = row.map((cell, c) => {
      const width = widths[c] ?? 0;
      return c === 0 || width > WORDS ? cell.padEnd(width) : cell.padStart(width);
    });
    return `  ${cells.join("  ")}`.trimEnd();
  });
}

/** Cells that are longer are sentences. */
const WORDS = 30;
