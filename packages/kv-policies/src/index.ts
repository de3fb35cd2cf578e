export { amountOf, formatAmount, slotsOf, type Amount, type AmountLike } from "./amount";
export { columnsNeeded, compile, type ColumnNeeds, type CompileContext } from "./compile";
export { ATOM_NAMES, parsePolicy, parseScore } from "./parse";
export {
  Policy,
  every,
  frequent,
  full,
  intersect,
  limit,
  minus,
  none,
  not,
  punctuation,
  recent,
  sink,
  special,
  tokens,
  top,
  union,
  type HeadView,
  type PolicyNode,
  type RankScope,
} from "./policy";
export { PRESETS, adaptive, fastgen, fixed, fullPreset, heavyHitter, sinkRecent, type Preset, type PresetRows } from "./presets";
export {
  ComputedStatistic,
  PolicyRegistry,
  Strategy,
  defaultRegistry,
  definePolicy,
  defineStatistic,
  defineStrategy,
  type LayerView,
  type Plugin,
  type PolicyPlugin,
  type StatisticPlugin,
  type StrategyPlugin,
} from "./registry";
export { resolvePolicy, type ResolvedPolicy } from "./resolve";
export { STATISTICS, ScoreTable, formatScore, isStandardColumn } from "./score";
export { PolicySyntaxError } from "./syntax-error";
export { TokenClass, TokenClasses, type TokenSet, type VocabularyEntry } from "./token-class";
