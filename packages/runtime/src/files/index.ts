export { parseModelConfig, readModelConfig, type ModelConfig } from "./config";
export { expectTensors } from "./expect-tensors";
export { readGenerationConfig, type GenerationConfig } from "./generation-config";
export { openSafetensors, SafetensorsFile } from "./safetensors";
export type { TensorInfo, TensorSource, WeightDType, WeightTensor } from "./tensor-source";
export { openWeights } from "./weights";
