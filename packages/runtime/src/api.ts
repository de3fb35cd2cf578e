export type { CachePolicy, RowsOption } from "./cache/cache-policy";
export type { DriftCounts, DriftOption } from "./cache/drift";
export type { Decision } from "./cache/decision";
export type { ExtendReport, ProbeSource } from "./cache/extend";
export type { Generation } from "./session/generation";
export { KvStore, defaultPageSlots, expectPageSlots, fullCacheBytes, type KvLayout } from "./cache/kv-store";
export type { KvType } from "@winnow/core-tensor";
export { replayChunks } from "./cache/probe";
export type { PrefixCounts } from "./cache/prefix-cache";
export { Sequence, type HeadState } from "./cache/sequence";
export type { Engine } from "./engine";
export * from "./files";
export type { GenerationEvent } from "./generate/decode";
export { percentiles, type FinishReason, type GenerationReport, type KvReport, type Timings } from "./generate/report";
export type { DraftFinder, Drafting } from "./generate/draft-finder";
export type { SpeculationCounts } from "./generate/speculation";
export { resolveSampling, type SamplingOptions } from "./generate/sampling";
export { topTokens, type TokenProbability } from "./generate/top-tokens";
export { StopStrings } from "./generate/stop-strings";
export { Model, loadModel, type CacheUse, type LoadOptions } from "./model";
export { expectedTensors } from "./models/load-decoder";
export { rotaryOf, rotationOf, type RopeScaling, type Rotary } from "./models/rope";
export type { LayerSight } from "./models/layer-sight";
export type { Rotaries } from "./models/rotaries";
export { Conversation, conversationTexts, type TurnTexts } from "./prompt/conversation";
export { openBackend, type BackendName, type KernelStore, type OpenBackendOptions } from "./open-backend";
export { profileReport } from "./session/profile-report";
export {
  Session,
  type GenerateOptions,
  type PromptReport,
  type ReadOptions,
  type SessionState,
} from "./session/session";
export { MOST_GUESSES } from "./session/resolve-drafting";
export { SessionOptionError } from "./session/session-option-error";
export type { SessionOptions } from "./session/session-options";
export type { SessionSettings } from "./session/session-settings";
export { Comparison, CutPrompt, type CutSize } from "./session/compare";
export { Chat, type AskOptions, type ChatState } from "./session/chat";
export type { PromptPart } from "./prompt/prompt-part";
export { chatParts, idsPart, textPart, turnParts, withProbe } from "./prompt/parts";
export type { Checkpoint } from "./checkpoint/checkpoint";
export { openCheckpoint } from "./checkpoint/open-checkpoint";
export * from "./tokenizer";
