import { append } from "./append";
import { attend } from "./attend";
import { compact } from "./compact";
import type { CpuOperations } from "./cpu-engine";
import { embed } from "./embed";
import { gather } from "./gather";
import { matmul } from "./matmul";
import { rmsNorm } from "./rms-norm";
import { sample } from "./sample";
import { select } from "./select";
import { statistics } from "./statistics";
import { summarise } from "./summarise";
import { weigh } from "./weigh";

/** The CPU's meaning of every operation, by name. */
export const OPERATIONS: CpuOperations = {
  embed,
  rmsNorm,
  matmul,
  append,
  attend,
  statistics,
  summarise,
  select,
  weigh,
  compact,
  gather,
  sample,
};
