import type { Kernels } from "./kernels";
import type { ModuleMemory } from "./memory/module-memory";
import type { WorkMemory } from "./memory/work-memory";
import type { PageArguments } from "./operations/page-arguments";

/** What the operations share. */
export interface Machine {
  readonly kernels: Kernels;
  readonly memory: ModuleMemory;
  readonly work: WorkMemory;
  readonly pages: PageArguments;
  readonly threads: number;
}
