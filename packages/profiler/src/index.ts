export { SHARE_NAMES, attentionShares, type AttentionShares } from "./attention-shares";
export { estimateCache, type CacheEstimate, type CacheShape } from "./estimate";
export { heatMap, type HeatMapOptions, type TerminalColours } from "./heat-map";
export { heatMapHtml } from "./heat-map-html";
export { heatMapSvg } from "./heat-map-svg";
export { cssColour, inkOn, scaleColour, type Colour } from "./colour-scale";
export { escapeMarkup } from "./markup";
export { checkPlan, formatPlan, parsePlan, type HeadPlan, type ModelFingerprint } from "./plan";
export { price, type CandidatePrice, type GroupRule, type MassSummary, type PricingOptions } from "./price";
export { askQuestion, bandsOf, type Question, type Reading } from "./question";
export {
  formatBytes,
  formatShare,
  keptShare,
  policyCounts,
  type CandidateReport,
  type HeadReport,
  type ProfileReport,
} from "./report";
export { profiledRows, type ProfiledRows, type RowSource } from "./row-source";
export { choose } from "./search";
