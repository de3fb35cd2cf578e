import type { GpuTrace } from "@winnow/gpu-backend";

import { significant, type KernelShare } from "./result";

/**
 * Where the device's time went, the longest first.
 *
 * @param parts that the trace is divided by: the tokens in it, say.
 */
export function kernelShares(trace: GpuTrace, parts: number): KernelShare[] {
  return trace.totals().map(({ label, count, total, share }) => ({
    label,
    dispatches: significant(count / parts),
    microseconds: significant(total / parts / 1000),
    share: significant(share),
  }));
}

/** The sum over all dispatches; those that ran at the same time count each. */
export function kernelMilliseconds({ spans }: GpuTrace): number {
  return spans.reduce((sum, { duration }) => sum + duration, 0) / 1e6;
}
