import type { AttentionShares } from "./attention-shares";

/** A candidate as it was priced for one head; null where it cannot be priced from a table. */
export interface CandidateReport {
  readonly policy: string;
  readonly recovery: number | null;
  readonly kept: number | null;
}

/** What one KV head was given. */
export interface HeadReport {
  /** Canonical text. */
  readonly policy: string;
  readonly recovery: number | null;
  /** Slots of the prompt after the cut. */
  readonly kept: number;
  readonly candidates: readonly CandidateReport[];
  /** Where its attention goes; null where nothing was profiled. */
  readonly attention: AttentionShares | null;
}

/** What profiling a prompt found: the one input of all pictures. */
export interface ProfileReport {
  /** The model's name. */
  readonly model: string;
  /** The policy as it was asked for. */
  readonly policy: string;
  readonly promptTokens: number;
  /** T; null without a threshold. */
  readonly recovery: number | null;
  /** Where the profiled rows came from, and why if that is not what was asked for. */
  readonly rows: { readonly source: string; readonly note: string | null };
  readonly layers: readonly { readonly heads: readonly HeadReport[] }[];
  /** Bytes after the cut, of the full cache, and the most while the prompt was read. */
  readonly kv: { readonly bytes: number; readonly fullBytes: number; readonly peakBytes: number };
}

/** Share of the prompt's slots that a head keeps, 0 to 1. */
export function keptShare(report: ProfileReport, head: HeadReport): number {
  return report.promptTokens === 0 ? 0 : Math.min(1, head.kept / report.promptTokens);
}

/** More policies than these are told by their forms: heads may each have a share of their own. */
const MOST_POLICIES = 8;

/** How a policy is named where many are: as it is, or where there are too many with `x` for its shares. */
export function policyNames(report: ProfileReport): (policy: string) => string {
  const policies = new Set(report.layers.flatMap(({ heads }) => heads.map(({ policy }) => policy)));
  if (policies.size <= MOST_POLICIES) return (policy) => policy;
  return (policy) => policy.replaceAll(/\d[\d.]*%/g, "x");
}

/** The policies in use by their names, with how many heads each has, the most frequent first. */
export function policyCounts(report: ProfileReport): { readonly policy: string; readonly heads: number }[] {
  const nameOf = policyNames(report);
  const counts = new Map<string, number>();
  for (const { policy } of report.layers.flatMap(({ heads }) => heads))
    counts.set(nameOf(policy), (counts.get(nameOf(policy)) ?? 0) + 1);
  return [...counts].map(([policy, heads]) => ({ policy, heads })).sort((a, b) => b.heads - a.heads);
}

/** `1.5 MB`: bytes for people, in powers of 1,000 as storage is sold. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toPrecision(3)} ${units[unit] ?? ""}`;
}

/** `61.2 %`; `–` for what was not measured. */
export function formatShare(share: number | null): string {
  return share === null ? "–" : `${(100 * share).toFixed(1)} %`;
}
