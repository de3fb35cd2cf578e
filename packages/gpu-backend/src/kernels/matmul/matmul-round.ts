import type { GpuCapabilities } from "../../device/capabilities";
import type { GpuTensor } from "../../buffers/gpu-tensor";
import { scratch, whole, type Binding } from "../../dispatch/binding";
import type { Dispatch } from "../../dispatch/dispatch";
import { defineKernel, kernelVariants, type Kernel } from "../../dispatch/kernel";
import type { RowOperand } from "../../dispatch/operands";
import { floatStorage } from "../../wgsl/elements";
import { matmulRoundWgsl, ROUND_BLOCK, ROUND_PARAMS, roundStorage, type MatmulRoundVariant } from "./matmul-round.wgsl";

const MAX_THREADS = 256;

const roundKernel = kernelVariants((variant: MatmulRoundVariant) =>
  defineKernel({
    label: "matmul.round",
    params: ROUND_PARAMS,
    storage: roundStorage(variant),
    enable: variant.subgroups && variant.norm !== null ? ["subgroups"] : [],
    code: matmulRoundWgsl(variant),
  }),
);

/** The kernel that rounds rows of so many inputs. */
export function roundKernelOf(
  inputs: number,
  norm: MatmulRoundVariant["norm"],
  { limits, subgroups }: GpuCapabilities,
): Kernel {
  const most = Math.min(MAX_THREADS, limits.maxComputeInvocationsPerWorkgroup);
  // A norm adds up all of a row; without one a thread has a block and no more to do.
  const wanted = norm === null ? inputs / ROUND_BLOCK : inputs / 4;
  const threads = Math.min(most, Math.max(32, 2 ** Math.ceil(Math.log2(wanted))));
  return roundKernel({ norm, subgroups: subgroups !== null, threads });
}

/** The dispatch that rounds rows of x for a product of whole numbers, and where it leaves them. */
export function roundRows(
  x: RowOperand,
  norm: { readonly gain: GpuTensor; readonly epsilon: number } | null,
  capabilities: GpuCapabilities,
): { readonly dispatch: Dispatch; readonly rows: Binding; readonly scales: Binding } {
  const bytes = scratch("matmul.bytes", x.elements);
  const scales = scratch("matmul.scales", (x.elements / ROUND_BLOCK) * 4);
  const dispatch = {
    kernel: roundKernelOf(x.width, norm === null ? null : floatStorage(norm.gain.dtype), capabilities),
    params: ROUND_PARAMS.pack({ units: x.width / 4, first_x: x.first / 4, epsilon: norm?.epsilon ?? 0 }),
    bindings: { x: whole(x.tensor), ...(norm === null ? {} : { gain: whole(norm.gain) }), bytes, scales },
    grid: [x.count, 1, 1],
  } as const;
  return { dispatch, rows: bytes, scales };
}
