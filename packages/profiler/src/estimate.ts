import { WinnowError, bytesOf, kvRowBytes, withWaiting, type KvType } from "@winnow/core-tensor";
import { columnsNeeded, slotsOf, type Policy, type PolicyNode, type Preset } from "@winnow/kv-policies";

/** What decides the size of a cache. */
export interface CacheShape {
  readonly layers: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Slots a page. */
  readonly pageSlots: number;
  readonly kvType: KvType;
  /** By layer: positions that a row sees, itself included, which is a ceiling on what its heads keep; null for all, as everywhere by default. */
  readonly windows?: readonly (number | null)[];
}

/** Bytes of a cache that has not been made, between bounds where the prompt decides. */
export interface CacheEstimate {
  /** Bytes that one token adds to the full cache. */
  readonly bytesPerToken: number;
  readonly fullBytes: number;
  /** The least that the policy can leave: the search's smallest candidate with no token in any class. */
  readonly leastBytes: number;
  /** The most: every head at its most generous candidate. */
  readonly mostBytes: number;
}

/**
 * KV bytes of `batch` sequences of `tokens` tokens before anything is loaded. Pages are rounded up per head,
 * and the columns that a policy needs beside its slots are counted.
 *
 * @throws WinnowError `range` when a number is not a whole number of at least 1, `dtype` where heads do not allow the type.
 */
export function estimateCache(shape: CacheShape, preset: Preset, tokens: number, batch = 1): CacheEstimate {
  for (const [name, value] of Object.entries({ tokens, batch })) {
    if (!Number.isInteger(value) || value < 1)
      throw new WinnowError("range", `${name} is ${value}; expected a whole number of at least 1`);
  }
  const heads = shape.kvHeads * batch;
  const slotBytes = 2 * kvRowBytes(shape.kvType, shape.headDim);
  const windows = shape.windows ?? new Array<null>(shape.layers).fill(null);
  const bytes = (slots: number, columns: number): number =>
    windows.reduce<number>((sum, window) => {
      const isWindowed = window !== null && window < tokens;
      const pages = Math.ceil(Math.min(slots, window ?? Infinity) / shape.pageSlots);
      // To know what lies behind a window, a head stores positions.
      const stored = isWindowed ? Math.max(1, columns) : columns;
      return sum + pages * shape.pageSlots * heads * (slotBytes + bytesOf("f32", stored));
    }, 0);
  const fullBytes = windows.reduce<number>(
    (sum, window) =>
      sum + Math.ceil(Math.min(tokens, window ?? Infinity) / shape.pageSlots) * shape.pageSlots * heads * slotBytes,
    0,
  );
  const each = preset.candidates.map((policy) => {
    const columns = storedColumns(policy, preset);
    const { least, most } = slotBounds(policy.node, tokens);
    return { least: bytes(least, columns), most: bytes(most, columns) };
  });
  return {
    bytesPerToken: shape.layers * heads * slotBytes,
    fullBytes,
    leastBytes: Math.min(...each.map(({ least }) => least)),
    mostBytes: Math.max(...each.map(({ most }) => most)),
  };
}

function storedColumns(policy: Policy, { generated }: Preset): number {
  if (policy.node.kind === "full") return 0;
  return withWaiting(new Set(generated === "keep" ? ["position"] : columnsNeeded(policy).stored)).length;
}

/** Slots that a policy can leave of a prompt of so many tokens, whatever the tokens are. */
function slotBounds(node: PolicyNode, tokens: number): { readonly least: number; readonly most: number } {
  const exactly = (slots: number): { least: number; most: number } => ({
    least: Math.min(tokens, slots),
    most: Math.min(tokens, slots),
  });
  switch (node.kind) {
    case "full":
      return exactly(tokens);
    case "none":
      return exactly(0);
    case "special":
    case "punctuation":
    case "tokens":
      return { least: 0, most: tokens };
    case "sink":
      return exactly(node.count);
    case "every":
      return exactly(node.offset >= tokens ? 0 : Math.ceil((tokens - node.offset) / node.period));
    case "recent":
    case "top":
      return exactly(slotsOf(node.amount, tokens));
    case "limit": {
      const of = slotBounds(node.of, tokens);
      const limit = slotsOf(node.amount, tokens);
      return { least: Math.min(of.least, limit), most: Math.min(of.most, limit) };
    }
    case "not": {
      const of = slotBounds(node.of, tokens);
      return { least: tokens - of.most, most: tokens - of.least };
    }
    case "minus": {
      const left = slotBounds(node.left, tokens);
      const right = slotBounds(node.right, tokens);
      return { least: Math.max(0, left.least - right.most), most: left.most };
    }
    case "and": {
      const parts = node.of.map((part) => slotBounds(part, tokens));
      return { least: 0, most: Math.min(...parts.map(({ most }) => most)) };
    }
    case "or": {
      const parts = node.of.map((part) => slotBounds(part, tokens));
      return {
        least: Math.max(...parts.map(({ least }) => least)),
        most: Math.min(
          tokens,
          parts.reduce((sum, { most }) => sum + most, 0),
        ),
      };
    }
  }
}
