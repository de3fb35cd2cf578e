import { PolicyRegistry, definePolicy } from "@winnow/kv-policies";

/** A share of the prompt's attention that the first candidates keep, and an answer's rows do not leave to them. */
export const DRIFT_THRESHOLD = 0.7;

/** Candidates by the name of their policy: the first ones drop what an answer looks up. */
export const DRIFT_CHAINS: Readonly<Record<string, readonly string[]>> = {
  windows: ["special | recent(8)", "special | recent(24)", "full"],
  hitters: ["special | recent(8)", "special | frequent(30%) | recent(8)", "full"],
  // Keys are looked at, and so slots are put into a table.
  keys: ["top(-keyNorm, 10%) | recent(8)", "frequent(30%) | recent(24)", "full"],
};

/** A registry that knows the chains. */
export function driftRegistry(): PolicyRegistry {
  const registry = new PolicyRegistry();
  for (const [name, candidates] of Object.entries(DRIFT_CHAINS)) {
    registry.register(definePolicy({ name, threshold: DRIFT_THRESHOLD, candidates: () => candidates }));
  }
  return registry;
}

/** For the demo model: a text, and a request that looks all of it up. */
export const DRIFT_PROMPT =
  "<s><|user|>Mira keeps the red key in the barn. Tom is 31 years old. The code of the blue lamp is 4711. " +
  "The weather in Arlen was sunny that day, and so was Mira.\n\nRepeat the text.<|end|><|assistant|>";
