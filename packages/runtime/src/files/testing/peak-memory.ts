import { readFileSync } from "node:fs";

/** What a damaged file of so many bytes may make a reader allocate at most. */
export const MOST_MORE_BYTES = 64 * 2 ** 20;

/**
 * The most memory that the process has ever had, in bytes, used or not; 0 where the system does not tell. What it grows by
 * shows any allocation that is larger than all before.
 */
export function peakMemory(): number {
  try {
    const found = /^VmPeak:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
    return 1024 * Number(found ?? 0);
  } catch {
    return 0;
  }
}
