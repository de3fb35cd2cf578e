import type { MatmulSpec } from "@winnow/core-tensor";

import type { Plan } from "../../dispatch/dispatch";
import type { PlanTarget } from "../../tune/kernel-family";
import { matmulKernelOf } from "./matmul-choice";
import { planProduct } from "./matmul-plan";

/** out = softCap(activation(norm(x) · weightᵀ + bias)) + residual, by the kernel that was chosen for its shape. */
export function planMatmul(spec: MatmulSpec, target: PlanTarget): Plan {
  return planProduct(spec, target, (form, norm, size) => matmulKernelOf(form, norm, size, target));
}
