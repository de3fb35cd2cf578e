export { checkPlan, formatPlan, parsePlan, type HeadPlan, type ModelFingerprint } from "./plan";
export { price, type CandidatePrice, type GroupRule, type MassSummary, type PricingOptions } from "./price";
export { askQuestion, bandsOf, type Question, type Reading } from "./question";
export { profiledRows, type ProfiledRows, type RowSource } from "./row-source";
export { choose } from "./search";
