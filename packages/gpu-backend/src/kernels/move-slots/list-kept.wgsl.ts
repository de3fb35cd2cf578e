import { defineKernel, kernelVariants } from "../../dispatch/kernel";
import { paramBlock } from "../../dispatch/params";

const THREADS = 256;

/** Words of a head's list before the columns: kept columns, the slot that the first goes to, and the first column considered. */
export const LIST_HEADER = 4;

export interface ListKeptVariant {
  /** Kept slots move down over the dropped ones; fresh columns go behind the slots in use. */
  readonly columns: "kept" | "fresh";
}

/** Words of a row of keep, the table's row of the first head, and columns that a list has room for. */
export const LIST_KEPT_PARAMS = paramBlock({ words: "u32", first_row: "u32", room: "u32" });

/**
 * Lists the columns of each head that a selection keeps, in order, and sets the head's length to what it will be: what
 * moves slots after this goes by the lists alone. One workgroup a head.
 */
export const listKeptKernel = kernelVariants((variant: ListKeptVariant) =>
  defineKernel({
    label: `move.${variant.columns}`,
    params: LIST_KEPT_PARAMS,
    storage: {
      keep: { access: "read", type: "array<u32>" },
      lengths: { access: "write", type: "array<u32>" },
      lists: { access: "write", type: "array<u32>" },
      ...(variant.columns === "fresh" ? ({ counts: { access: "read", type: "array<u32>" } } as const) : {}),
    },
    code: listKeptWgsl(variant),
  }),
);

function listKeptWgsl({ columns }: ListKeptVariant): string {
  const fresh = columns === "fresh";
  return `
const THREADS = ${THREADS}u;
const HEADER = ${LIST_HEADER}u;

// First column considered, and the one behind the last.
var<workgroup> range: vec2u;
var<workgroup> kept: array<u32, THREADS>;

/// Bits of the columns that are kept and considered.
fn kept_word(head: u32, considered: vec2u, word: u32) -> u32 {
  var bits = keep[(params.first_row + head) * params.words + word];
  if (word == considered.x / 32u) { bits &= 0xffffffffu << (considered.x % 32u); }
  if (word == considered.y / 32u) { bits &= (1u << (considered.y % 32u)) - 1u; }
  return bits;
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let head = group.x;
  if (thread == 0u) {
    ${
      fresh
        ? `// The table's row holds the slots as they were before a compaction, then the fresh ones.
    let end = counts[params.first_row + head];
    range = vec2u(end - min(end, params.room), end);`
        : "range = vec2u(0u, min(lengths[head], params.room));"
    }
  }
  let considered = workgroupUniformLoad(&range);
  let first_word = considered.x / 32u;
  let words = (considered.y + 31u) / 32u - first_word;
  let of_thread = (words + THREADS - 1u) / THREADS;
  let first = first_word + min(words, thread * of_thread);
  let end = first_word + min(words, (thread + 1u) * of_thread);
  var own = 0u;
  for (var word = first; word < end; word++) { own += countOneBits(kept_word(head, considered, word)); }
  kept[thread] = own;
  for (var reach = 1u; reach < THREADS; reach *= 2u) {
    workgroupBarrier();
    var before = 0u;
    if (thread >= reach) { before = kept[thread - reach]; }
    workgroupBarrier();
    kept[thread] += before;
  }
  let list = head * (HEADER + params.room);
  var place = list + HEADER + kept[thread] - own;
  for (var word = first; word < end; word++) {
    var bits = kept_word(head, considered, word);
    while (bits != 0u) {
      lists[place] = word * 32u + firstTrailingBit(bits);
      place++;
      bits &= bits - 1u;
    }
  }
  if (thread == THREADS - 1u) {
    let base = ${fresh ? "lengths[head]" : "0u"};
    lists[list] = kept[thread];
    lists[list + 1u] = base;
    lists[list + 2u] = considered.x;
    lengths[head] = base + kept[thread];
  }
}
`;
}
