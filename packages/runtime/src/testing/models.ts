import { join } from "node:path";

const ROOT = join(import.meta.dirname, "../../../..");

/** The trained model that the project ships. */
export const DEMO = join(ROOT, "models/demo");

/** Random weights with what the demo model has not: untied head, biases, BF16, three query heads to a KV head. */
export const TINY = join(ROOT, "goldens/tiny-model");

/** A golden file by name. */
export const goldenFile = (name: "demo" | "tiny"): string => join(ROOT, `goldens/${name}.jsonl`);
