import { readFileSync } from "node:fs";

/** The most that the process has had in memory, pages of mapped files included. */
export function peakBytes(): number {
  try {
    const found = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
    if (found !== undefined) return Number(found) * 1024;
  } catch {
    // Not Linux.
  }
  return process.resourceUsage().maxRSS * 1024;
}
