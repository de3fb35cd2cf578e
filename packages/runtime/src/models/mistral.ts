import type { Family } from "./family";
import { LLAMA } from "./llama";

/** Mistral 7B (arXiv 2310.06825, section 2): a Llama whose first version sees a window; later ones see everything. */
export const MISTRAL: Family = {
  ...LLAMA,
  architecture: "MistralForCausalLM",
  modelType: "mistral",
  window: 4096,
  seesWindow: () => true,
};
