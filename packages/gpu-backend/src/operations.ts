import type { BackendOperations, OperationName } from "@winnow/core-tensor";

import type { Plan } from "./dispatch/dispatch";
import { planAttend } from "./kernels/attend/attend";
import { planEmbed } from "./kernels/embed/embed";
import { planMatmul } from "./kernels/matmul/matmul";
import { planAppend } from "./kernels/append/append";
import { planCompact } from "./kernels/compact/compact";
import { planGather } from "./kernels/gather/gather";
import { planRmsNorm } from "./kernels/rms-norm/rms-norm";
import { planSample } from "./kernels/sample/sample";
import { planSelect } from "./kernels/select/select";
import { planStatistics } from "./kernels/statistics/statistics";
import { planSummarise } from "./kernels/summarise/summarise";
import { planWeigh } from "./kernels/weigh/weigh";
import type { PlanTarget } from "./tune/kernel-family";

/** What an operation does on a device of some capabilities, with the kernels that were chosen for it. */
export type Planner<Name extends OperationName> = (spec: BackendOperations[Name], target: PlanTarget) => Plan;

type Planners = { readonly [Name in OperationName]: Planner<Name> };

/** The plan of every operation, by name. */
export const PLANNERS: Planners = {
  attend: planAttend,
  embed: planEmbed,
  matmul: planMatmul,
  append: planAppend,
  compact: planCompact,
  gather: planGather,
  rmsNorm: planRmsNorm,
  sample: planSample,
  select: planSelect,
  weigh: planWeigh,
  statistics: planStatistics,
  summarise: planSummarise,
};
