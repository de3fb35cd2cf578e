import { faultWgsl, type Fault } from "./fault";
import type { ParamBlock, ParamFields } from "./params";

/** A storage buffer of a kernel, in WGSL a variable of this name. */
export interface StorageVariable {
  /** `write` reads as well. Two operands in one buffer have to be one variable of this access. */
  readonly access: "read" | "write";
  /** The WGSL type, such as `array<vec4f>`. */
  readonly type: string;
}

export interface KernelDefinition<Fields extends ParamFields> {
  /** The operation, such as `rmsNorm`: names pipelines, errors and rows of a trace. */
  readonly label: string;
  readonly params: ParamBlock<Fields>;
  /** In the order of their bindings. */
  readonly storage: Readonly<Record<string, StorageVariable>>;
  /** The WGSL type of the table `data` that comes with each dispatch, such as `array<u32>`. */
  readonly data?: string;
  /** What `report_fault(value, bound)` means in this kernel. */
  readonly fault?: Fault;
  /** WGSL extensions, of features that the device has. */
  readonly enable?: readonly ("f16" | "subgroups" | "chromium_experimental_subgroup_matrix")[];
  /** Values of `override` declarations. */
  readonly constants?: Readonly<Record<string, number>>;
  /** Functions, workgroup variables and the entry point `main`. */
  readonly code: string;
}

/** The kinds of a kernel's bindings, in order, of which layouts and so bind groups are shared. */
export type BindingKind = "params" | "read" | "write" | "data" | "fault";

/** A kernel's whole WGSL with what it binds: one variant of one operation. Made once, used for many dispatches. */
export interface Kernel<Fields extends ParamFields = ParamFields> extends KernelDefinition<Fields> {
  readonly wgsl: string;
  readonly kinds: readonly BindingKind[];
  readonly storageNames: readonly string[];
}

/**
 * Put a kernel's WGSL together: extensions, `params`, the storage variables by name, `data`, `report_fault`, and the
 * definition's own code. Bindings are numbered here and nowhere else.
 *
 * @example
 * ```ts
 * const double = defineKernel({
 *   label: "double",
 *   params: paramBlock({ count: "u32" }),
 *   storage: { x: { access: "write", type: "array<f32>" } },
 *   code: `@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
 *     if (id.x < params.count) { x[id.x] *= 2.0; }
 *   }`,
 * });
 * ```
 */
export function defineKernel<Fields extends ParamFields>(definition: KernelDefinition<Fields>): Kernel<Fields> {
  const { params, storage, data, fault, enable = [], code } = definition;
  const storageNames = Object.keys(storage);
  const kinds: BindingKind[] = ["params", ...Object.values(storage).map(({ access }) => access)];
  const declarations = [`@group(0) @binding(0) var<uniform> params: Params;`];
  Object.entries(storage).forEach(([name, { access, type }], i) => {
    const mode = access === "read" ? "read" : "read_write";
    declarations.push(`@group(0) @binding(${i + 1}) var<storage, ${mode}> ${name}: ${type};`);
  });
  if (data !== undefined) {
    declarations.push(`@group(0) @binding(${kinds.length}) var<storage, read> data: ${data};`);
    kinds.push("data");
  }
  if (fault !== undefined) {
    declarations.push(faultWgsl(fault, kinds.length));
    kinds.push("fault");
  }
  const extensions = enable.map((name) => `enable ${name};`);
  const wgsl = [...extensions, params.wgsl, ...declarations, code.trim(), ""].join("\n");
  return { ...definition, wgsl, kinds, storageNames };
}

/**
 * Make each variant of a kernel once: a decoder dispatches the same few for every token, and must not print their WGSL
 * each time.
 *
 * @param define gives the kernel for a variant: plain data, on whose values alone the kernel depends.
 */
export function kernelVariants<Variant extends object, Fields extends ParamFields>(
  define: (variant: Variant) => Kernel<Fields>,
): (variant: Variant) => Kernel<Fields> {
  const made = new Map<string, Kernel<Fields>>();
  return (variant) => {
    const key = JSON.stringify(variant);
    let kernel = made.get(key);
    if (kernel === undefined) made.set(key, (kernel = define(variant)));
    return kernel;
  };
}
