export { parseModelConfig, readModelConfig, type ModelConfig } from "./config";
export { expectTensors } from "./expect-tensors";
export { fetchedFiles } from "./fetched-files";
export { readGenerationConfig, type GenerationConfig } from "./generation-config";
export type { ModelFiles } from "./model-files";
export type { RangedFile } from "./ranged-file";
export { openSafetensors, SafetensorsFile } from "./safetensors";
export type { FloatDType, TensorInfo, TensorSource, WeightDType, WeightTensor } from "./tensor-source";
export { openWeights } from "./weights";
