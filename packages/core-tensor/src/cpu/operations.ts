import type { BackendOperations, OperationName } from "../backend";
import { append } from "./append";
import { attend } from "./attend";
import { compact } from "./compact";
import type { Poll } from "./cpu-tensor";
import { embed } from "./embed";
import { gather } from "./gather";
import { matmul } from "./matmul";
import { rmsNorm } from "./rms-norm";
import { sample } from "./sample";
import { select } from "./select";
import { statistics } from "./statistics";
import { summarise } from "./summarise";
import { weigh } from "./weigh";

type Operations = { readonly [Name in OperationName]: (spec: BackendOperations[Name], poll: Poll) => void };

/** The CPU's meaning of every operation, by name. */
export const OPERATIONS: Operations = {
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

/** Run an operation by name; the name's own specification has to come with it. */
export function runOperation<Name extends OperationName>(name: Name, spec: BackendOperations[Name], poll: Poll): void {
  OPERATIONS[name](spec, poll);
}
