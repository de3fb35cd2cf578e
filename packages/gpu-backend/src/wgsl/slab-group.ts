import { whole, type Binding } from "../dispatch/binding";
import type { StorageVariable } from "../dispatch/kernel";
import type { Slab } from "../dispatch/slabs";

/** Several slabs that a kernel has bound at once, `slab_0`, `slab_1`, …: its params have their numbers as fields of that name. */
export interface SlabGroup {
  readonly count: number;
  /** Names of the variables, and of the params with the slabs' numbers. */
  readonly names: readonly string[];
}

export function slabGroup(count: number): SlabGroup {
  return { count, names: Array.from({ length: count }, (_, i) => `slab_${i}`) };
}

/** A parameter for each slab's number. */
export function slabFields({ names }: SlabGroup): Readonly<Record<string, "u32">> {
  return Object.fromEntries(names.map((name) => [name, "u32"] as const));
}

/** What those parameters are. */
export function slabNumbers({ names }: SlabGroup, slabs: readonly Slab[]): Readonly<Record<string, number>> {
  return Object.fromEntries(names.map((name, i) => [name, slabs[i]?.number ?? 0]));
}

/** What the kernel binds, all of one type. */
export function slabStorage({ names }: SlabGroup, type: string): Readonly<Record<string, StorageVariable>> {
  return Object.fromEntries(names.map((name) => [name, { access: "write", type } as const]));
}

export function slabBindings({ names }: SlabGroup, slabs: readonly Slab[]): Readonly<Record<string, Binding>> {
  return Object.fromEntries(slabs.map(({ tensor }, i) => [names[i] ?? "", whole(tensor)]));
}

/**
 * A statement for the slab that a page lies in.
 *
 * @param number the slab's number, an expression.
 * @param act the statement, for the variable that holds the slab.
 */
export function inSlab({ names }: SlabGroup, number: string, act: (variable: string) => string): string {
  return names.map((name) => `if (${number} == params.${name}) { ${act(name)} }`).join("\n  else ");
}
