import { WinnowError } from "./errors";

/** The extent of each dimension, outermost first; the last one is contiguous. */
export type Shape = readonly number[];

/**
 * Number of elements of a shape; 1 for the shape of a scalar, `[]`.
 *
 * @throws WinnowError `shape` when an extent is negative, fractional, or the product is not a safe integer.
 */
export function elementCount(shape: Shape): number {
  let count = 1;
  for (const extent of shape) {
    if (!Number.isInteger(extent) || extent < 0) {
      throw new WinnowError("shape", `shape ${formatShape(shape)}: every extent must be a whole number of at least 0`);
    }
    count *= extent;
  }
  if (!Number.isSafeInteger(count)) {
    throw new WinnowError("shape", `shape ${formatShape(shape)} has more elements than a number can count exactly`);
  }
  return count;
}

export function formatShape(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((extent, i) => extent === b[i]);
}

/**
 * Check a shape at the edge of an operation; `null` in the rule matches any extent.
 *
 * @throws WinnowError `shape` naming the operation, the operand, both shapes.
 */
export function expectShape(operation: string, operand: string, found: Shape, rule: readonly (number | null)[]): void {
  const fits = found.length === rule.length && rule.every((extent, i) => extent === null || extent === found[i]);
  if (!fits) {
    const wanted = `[${rule.map((extent) => extent ?? "any").join(", ")}]`;
    throw new WinnowError("shape", `${operation}: ${operand} has shape ${formatShape(found)}, expected ${wanted}`);
  }
}
