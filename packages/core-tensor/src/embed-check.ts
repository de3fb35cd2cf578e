import type { EmbedSpec } from "./backend";
import { WinnowError } from "./errors";
import { elementCount } from "./shape";

/**
 * What every CPU engine checks of an `embed` before it begins.
 *
 * @returns elements of a row.
 * @throws WinnowError `shape` when operands do not fit together.
 */
export function checkEmbed({ table, ids, out }: EmbedSpec): number {
  const width = elementCount(table.shape.slice(1));
  const outWidth = elementCount(out.tensor.shape.slice(1));
  if (outWidth !== width || out.count !== ids.count) {
    throw new WinnowError(
      "shape",
      `embed: out is ${out.count} rows of ${outWidth}, expected ${ids.count} rows of ${width}`,
    );
  }
  return width;
}

/** @throws WinnowError `range` for a token that is not in the table. */
export function expectToken(id: number, { shape }: EmbedSpec["table"]): void {
  const vocabulary = shape[0] ?? 0;
  if (id >= vocabulary) throw new WinnowError("range", `embed: token ${id} is outside the vocabulary of ${vocabulary}`);
}
