/** One for all copies of this package that a program has loaded: in CommonJS each of its entries is one. */
const KEY = Symbol.for("@winnow/core-tensor/lasting");

/** Marked rather than frozen alone, for somebody may freeze what he builds anew each time. */
const lastingSpecs = shared();

/**
 * Say of a specification that it will be passed again, to the same operation, and that nothing in it ever changes. A decoder's
 * operations are the same for token after token: a backend may keep what it makes of such a specification, and know it again at
 * a glance.
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

function shared(): WeakSet<object> {
  const found: unknown = Reflect.get(globalThis, KEY);
  if (found instanceof WeakSet) return found;
  const made = new WeakSet<object>();
  Reflect.set(globalThis, KEY, made);
  return made;
}
