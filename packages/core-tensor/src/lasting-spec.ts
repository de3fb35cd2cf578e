/** Marked rather than frozen alone, for somebody may freeze what he builds anew each time. */
const lastingSpecs = new WeakSet<object>();

/**
 * Say of a specification that it will be passed again and that nothing in it ever changes. A decoder's operations are the
 * same for token after token: a backend may keep what it makes of such a specification, and know it again at a glance.
 *
 * @returns the specification, frozen.
 * @example
 * ```ts
 * const product = lasting<MatmulSpec>({ x: rows(x), weight, out: rows(out) });
 * for (const row of inputs) {
 *   backend.write(x, row);
 *   backend.matmul(product);
 * }
 * ```
 */
export function lasting<Spec extends object>(spec: Spec): Spec {
  lastingSpecs.add(spec);
  return Object.freeze(spec);
}

/** Whether a specification was said to last. */
export function isLasting(spec: object): boolean {
  return lastingSpecs.has(spec);
}
