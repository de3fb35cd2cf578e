import { GpuTensor } from "../buffers/gpu-tensor";

/**
 * What of a field a plan depends on: all that is in it, nothing, or, of a list of numbers, only how many steps of some
 * size each of them begins.
 */
export type Facet = "whole" | "nothing" | { readonly step: number };

/** What of the fields of a specification a plan depends on, by their names. */
export type FacetOf<Spec> = (field: string, spec: Spec) => Facet;

/** Closes an object: what has fewer fields is another one. */
const END = Symbol("end");

/**
 * What a specification consists of, in one flat list: the names of its fields, numbers, and tensors, which are the same
 * where they are the same object.
 */
export type SpecLeaves = readonly unknown[];

const NONE: SpecLeaves = [];

/** The leaves of a specification; null where it holds what cannot be told apart, such as arrays of bytes that may change. */
export function leavesOf<Spec extends object>(spec: Spec, facetOf: FacetOf<Spec>): SpecLeaves | null {
  const leaves: unknown[] = [];
  const collect = (value: unknown): boolean => {
    leaves.push(value);
    return true;
  };
  return eachLeaf(spec, spec, facetOf, collect, true) ? leaves : null;
}

/** Whether a specification has these leaves, without making anything. */
export class LeafMatcher {
  #leaves = NONE;
  #at = 0;
  readonly #matches = (value: unknown): boolean => this.#leaves[this.#at++] === value;

  matches<Spec extends object>(spec: Spec, facetOf: FacetOf<Spec>, leaves: SpecLeaves): boolean {
    this.#leaves = leaves;
    this.#at = 0;
    const same = eachLeaf(spec, spec, facetOf, this.#matches, false) && this.#at === leaves.length;
    // Nothing is kept alive by having been compared last.
    this.#leaves = NONE;
    return same;
  }
}

/** Visit leaves in order, up to the first that `visit` is not content with; whether there was none. */
function eachLeaf<Spec extends object>(
  value: unknown,
  spec: Spec,
  facetOf: FacetOf<Spec>,
  visit: (leaf: unknown) => boolean,
  plainOnly: boolean,
): boolean {
  if (typeof value !== "object" || value === null || value instanceof GpuTensor) return visit(value);
  if (Array.isArray(value)) {
    const items: readonly unknown[] = value;
    if (!visit(items.length)) return false;
    for (const item of items) if (!eachLeaf(item, spec, facetOf, visit, plainOnly)) return false;
    return true;
  }
  if (plainOnly && Object.getPrototypeOf(value) !== Object.prototype) return false;
  if (!isFields(value)) return false;
  for (const field in value) {
    const facet = facetOf(field, spec);
    if (facet === "nothing") continue;
    if (!visit(field)) return false;
    const of = value[field];
    if (facet === "whole") {
      if (!eachLeaf(of, spec, facetOf, visit, plainOnly)) return false;
    } else if (!eachStep(of, facet.step, visit)) return false;
  }
  return visit(END);
}

function eachStep(list: unknown, step: number, visit: (leaf: unknown) => boolean): boolean {
  if (!Array.isArray(list)) return false;
  const numbers: readonly unknown[] = list;
  if (!visit(numbers.length)) return false;
  for (const number of numbers) {
    if (typeof number !== "number" || !visit(Math.ceil(number / step))) return false;
  }
  return true;
}

function isFields(value: object): value is Readonly<Record<string, unknown>> {
  return !ArrayBuffer.isView(value);
}
