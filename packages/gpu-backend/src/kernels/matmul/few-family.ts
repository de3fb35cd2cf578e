import type { GpuCapabilities } from "../../device/capabilities";
import { KernelFamily, type KernelCandidate } from "../../tune/kernel-family";
import { dotBytes } from "./matmul-dot.wgsl";
import { fewBytes } from "./matmul-few.wgsl";
import { partsOf, type MatmulForm, type NormForm } from "./matmul-form.wgsl";
import { kernelOf, quantisedForm, type MatmulKernel } from "./matmul-kernel";
import { planProduct } from "./matmul-plan";
import { roundKernelOf } from "./matmul-round";
import { productForm, productKey, productSpecs, type ProductShape } from "./product-shape";

/** Rows for which reading each weight once counts for more than the arithmetic. */
export const FEW_ROWS = 8;
/** Vectors that a thread takes of a row before the row gets more threads: adding up the threads' sums takes time too. */
const UNITS_PER_THREAD = 8;
/** Outputs from which there are enough workgroups for every core even where each takes four of them. */
const MANY_OUTPUTS = 4096;

const THREADS = [32, 64, 128, 256] as const;
const WEIGHT_ROWS = [1, 2, 4] as const;
/** Weights of whose blocks whole numbers are multiplied: those that the CPU backend rounds rows for, and q4_k. */
const DOT_TYPES: ReadonlySet<string> = new Set(["q8_0", "q4_0", "q4_k"]);

export interface FewShape extends ProductShape {
  readonly normed: boolean;
}

/**
 * How few rows are multiplied. It is the same for one row and for eight, so that a row's sums do not depend on the others.
 */
export interface FewChoice {
  /** `sum`: of floats. `dot`: of whole numbers, for which rows are rounded to eight bits first. */
  readonly kind: "sum" | "dot";
  /** Outputs of a workgroup, and its threads. */
  readonly outputs: number;
  readonly threads: number;
}

/** Products of up to {@link FEW_ROWS} rows. */
export const FEW_FAMILY = new KernelFamily<FewShape, FewChoice>({
  name: "matmul.few",
  keyOf: (shape) => `${productKey(shape)}${shape.normed ? " normed" : ""}`,
  candidates: fewCandidates,
  wgslOf: (shape, choice, capabilities) => {
    const form = productForm(shape);
    const { wgsl } = kernelOf(fewKernelOf(choice, form, shape.normed ? "f32" : null, 1, capabilities));
    const rounding =
      choice.kind === "dot" ? roundKernelOf(shape.inputs, shape.normed ? "f32" : null, capabilities) : null;
    return `${rounding?.wgsl ?? ""}${wgsl}`;
  },
  workload: (shape, bench) => {
    const specOf = productSpecs(shape, 1, shape.normed, bench);
    const { capabilities } = bench;
    return (choice, repetition) =>
      planProduct(specOf(repetition), capabilities, (form, norm) => fewKernelOf(choice, form, norm, 1, capabilities));
  },
});

/** @param rows at most {@link FEW_ROWS}. */
export function fewKernelOf(
  { kind, outputs, threads }: FewChoice,
  form: MatmulForm,
  norm: NormForm,
  rows: number,
  { subgroups }: GpuCapabilities,
): MatmulKernel {
  const shared = { subgroups: subgroups !== null, rows: 2 ** Math.ceil(Math.log2(rows)), outputs, threads };
  const quantised = kind === "dot" ? quantisedForm(form) : null;
  if (quantised !== null) return { kind: "dot", variant: { ...shared, form: quantised } };
  return { kind: "few", variant: { ...shared, form, norm } };
}

function fewCandidates(shape: FewShape, capabilities: GpuCapabilities): KernelCandidate<FewChoice>[] {
  const form = productForm(shape);
  const parts = partsOf(form).length;
  const first = defaultOf(shape, capabilities);
  const mostThreads = Math.max(32, shape.inputs / 4);
  const sizes = THREADS.filter((threads) => threads <= mostThreads).flatMap((threads) =>
    WEIGHT_ROWS.filter((of) => of >= parts).map((of) => ({ threads, outputs: of / parts })),
  );
  const dots =
    capabilities.packedDots && DOT_TYPES.has(shape.weight) ? sizes.filter(({ outputs }) => outputs * parts > 1) : [];
  const others = [
    ...sizes.map((size): FewChoice => ({ kind: "sum", ...size })),
    ...dots.map((size): FewChoice => ({ kind: "dot", ...size })),
  ].filter((choice) => fits(choice, shape, capabilities) && nameOf(choice) !== nameOf(first));
  return [first, ...others].map((choice) => ({ name: nameOf(choice), choice, rounds: choice.kind === "dot" }));
}

/** @example nameOf({ kind: "sum", threads: 64, outputs: 2 }) // "sum 64×2" */
function nameOf({ kind, threads, outputs }: FewChoice): string {
  return `${kind} ${threads}×${outputs}`;
}

/** Whether a workgroup has the memory and the threads, for as many rows as there may be. */
function fits(choice: FewChoice, shape: FewShape, capabilities: GpuCapabilities): boolean {
  const { maxComputeWorkgroupStorageSize, maxComputeInvocationsPerWorkgroup } = capabilities.limits;
  const chosen = fewKernelOf(choice, productForm(shape), shape.normed ? "f32" : null, FEW_ROWS, capabilities);
  const bytes = chosen.kind === "few" ? fewBytes(chosen.variant) : chosen.kind === "dot" ? dotBytes(chosen.variant) : 0;
  return choice.threads <= maxComputeInvocationsPerWorkgroup && bytes <= maxComputeWorkgroupStorageSize;
}

function defaultOf(shape: FewShape, capabilities: GpuCapabilities): FewChoice {
  const { maxComputeInvocationsPerWorkgroup } = capabilities.limits;
  const outputs = (shape.outputs >= MANY_OUTPUTS ? 4 : 2) / partsOf(productForm(shape)).length;
  const wanted = Math.max(32, shape.inputs / 4 / UNITS_PER_THREAD);
  let threads = 2 ** Math.floor(Math.log2(Math.min(256, maxComputeInvocationsPerWorkgroup, wanted)));
  while (!fits({ kind: "sum", outputs, threads }, shape, capabilities)) threads /= 2;
  return { kind: "sum", outputs, threads };
}
