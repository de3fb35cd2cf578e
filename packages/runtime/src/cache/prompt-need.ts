import { STORED_COLUMNS, bytesOf } from "@winnow/core-tensor";

import type { Engine } from "../engine";
import type { CachePolicy } from "./cache-policy";
import { probeChunks, type ProbeSource } from "./extend";
import type { KvNeed } from "./kv-need";
import { tableBytes, type Sequence } from "./sequence";

/** A prompt that is about to be read. */
export interface PromptSize {
  /** Of the sequence when it has been read. */
  readonly tokens: number;
  /** The most that are uncut at a time: a part's, with a chunk's of its probe. */
  readonly rows: number;
}

/**
 * How much is to be read, part by part.
 *
 * @param before tokens that the sequence has read already.
 */
export function promptSize(
  { context }: Pick<Engine, "context">,
  policy: Pick<CachePolicy, "rows">,
  before: number,
  parts: readonly { readonly rows: number; readonly probe: ProbeSource | null }[],
): PromptSize {
  let tokens = before;
  let most = 0;
  for (const { rows, probe } of parts) {
    tokens += rows;
    const chunks = policy.rows === "probe" && probe !== null ? probeChunks(probe, context - tokens) : [];
    most = Math.max(most, rows + Math.max(0, ...chunks.map((chunk) => chunk.length)));
  }
  return { tokens, rows: most };
}

/**
 * The most that reading a prompt can still take: as if every head kept everything that its window sees.
 *
 * @param sequence null where a new one is to be made.
 */
export function promptNeed(
  { store }: Engine,
  policy: CachePolicy,
  sequence: Sequence | null,
  { tokens, rows }: PromptSize,
): KvNeed {
  const { heads, windows, pageSlots } = store.layout;
  const scratch = 2 * bytesOf(store.scratchType, heads.kvHeads * rows * heads.headDim);
  const pages = windows.map((window) => Math.ceil(Math.min(tokens, window ?? Infinity) / pageSlots) * heads.kvHeads);
  const all = pages.reduce((sum, count) => sum + count, 0);
  const isOnDevice = sequence !== null && !sequence.parked;
  const held = isOnDevice ? sequence.held : null;
  const columnPages = all * mostColumns(policy, windows);
  return {
    pages: pages.map((count, l) => Math.max(0, count - (held?.pages[l] ?? 0))),
    columnPages: Math.max(0, columnPages - (held?.columnPages ?? 0)),
    bytes: (isOnDevice ? 0 : tableBytes(store)) + Math.max(0, scratch - (sequence?.scratchBytes ?? 0)),
  };
}

/** Columns that a head can come to store. */
function mostColumns({ decision, generated }: CachePolicy, windows: readonly (number | null)[]): number {
  if (generated === "keep") return 1;
  const keepsAll = decision.kind === "search" && decision.candidates.every(({ node }) => node.kind === "full");
  if (!keepsAll) return STORED_COLUMNS.length;
  return windows.some((window) => window !== null) ? 1 : 0;
}
