import type { ProbeSource } from "../cache/extend";

/** One part of a prompt, which is read and cut by itself. */
export interface PromptPart {
  readonly ids: readonly number[];
  /** What a probe over this part asks and replays; without one, profiled rows are the prompt's own late ones. */
  readonly probe: ProbeSource | null;
  /** Whether other prompts may begin with the same part; it matters where a prompt begins. */
  readonly shared?: boolean;
}
