export {
  amountOf,
  count,
  formatAmount,
  formatPercent,
  ratio,
  shortestRatio,
  slotsOf,
  type Amount,
  type AmountLike,
} from "./amount";
export { compile, type CompileContext } from "./compile";
export { ComputedStatistic } from "./computed-statistic";
export { FIELD, adaKv } from "./field";
export type { HeadView, QueryMoments } from "./head-view";
export { columnsNeeded, tokenSetsOf, type ColumnNeeds } from "./needs";
export { parsePolicy, parseScore } from "./parse";
export {
  definePolicy,
  defineStatistic,
  defineStrategy,
  type ExpressionPlugin,
  type ExpressionStatistic,
  type HostStatistic,
  type LayerStrategy,
  type LayerView,
  type ModelStrategy,
  type ModelView,
  type Plugin,
  type PolicyPlugin,
  type PresetPlugin,
  type StatisticPlugin,
  type StrategyPlugin,
} from "./plugin";
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
} from "./policy";
export type { PolicyNode, RankScope } from "./policy-node";
export { ATOM_NAMES } from "./policy-parser";
export {
  PRESETS,
  adaptive,
  fastgen,
  fixed,
  fullPreset,
  heavyHitter,
  sinkRecent,
  type Preset,
  type PresetRows,
} from "./presets";
export { PolicyRegistry, defaultRegistry } from "./registry";
export { resolvePolicy, type ResolvedPolicy } from "./resolve";
export { READING_COLUMNS, STATISTICS, formatScore, isStandardColumn } from "./score";
export { ScoreTable } from "./score-table";
export { Strategy } from "./strategy";
export { PolicySyntaxError } from "./syntax-error";
export { TokenClass, TokenClasses, type VocabularyEntry } from "./token-class";
export type { TokenSet } from "./token-set";
