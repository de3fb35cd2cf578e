import type { TerminalColours } from "@winnow/profiler";
import pc from "picocolors";

/** How many colours standard output shows; none in a pipe, or where NO_COLOR asks for that. */
export function terminalColours(): TerminalColours {
  if (!pc.isColorSupported || !process.stdout.isTTY) return "none";
  return process.stdout.getColorDepth() >= 24 ? "truecolour" : "256";
}
