import { defineKernel, kernelVariants, type StorageVariable } from "../../dispatch/kernel";
import { paramBlock } from "../../dispatch/params";
import { FLAT_WORKGROUP } from "../../wgsl/workgroup";
import { BOOL_PROGRAM } from "./bool-program";
import { RANK_TESTS } from "./rank-tests";
import { scoreColumns, scoreWgsl, type ScoreShape } from "./score";
import { SLOT_PARAMS, slotStorage, slotWgsl, type SlotSource } from "./slot-source";

export interface RankVariant extends ScoreShape {
  readonly threads: number;
}

export const RANK_PARAMS = paramBlock({
  ...SLOT_PARAMS,
  tasks: "u32",
  // Position of the newest row; the number of the plan's first over all layers.
  now: "u32",
  seed_row: "u32",
  // Where the plan's rows and the scores' constants begin among the words.
  rows_at: "u32",
  constants_at: "u32",
  packed_stride: "u32",
  zero: "u32",
});

/** A table's columns as they are bound: those that scores read, or all of them in one. */
export function rankColumns({ scores, columns }: ScoreShape): string[] {
  switch (columns) {
    case "table":
      return scoreColumns(scores).map((_, number) => `column_${number}`);
    case "packed":
      return ["packed_columns"];
    case "pages":
      return [];
  }
}

function sourceOf({ columns }: ScoreShape): SlotSource {
  return columns === "pages" ? "pages" : "table";
}

/**
 * Ranks without sorting. Each ranking gives its slots keys, whose ascending order is that of falling scores; then, for
 * each k, a radix select finds the greatest (key, position, place) that is among the first k: eight bits at a time, the
 * slots that agree so far are counted by their next digit. As places differ, so do all slots. A slot is among the first
 * k if its own three words come no later.
 *
 * One workgroup does the rankings of a task in their order, so that a later one may ask who passed an earlier one's test.
 */
export const rankKernel = kernelVariants((variant: RankVariant) => {
  const columns = rankColumns(variant).map((name): [string, StorageVariable] => [
    name,
    { access: "read", type: "array<u32>" },
  ]);
  return defineKernel({
    label: "rank",
    params: RANK_PARAMS,
    storage: {
      ...slotStorage(sourceOf(variant)),
      keys: { access: "write", type: "array<u32>" },
      thresholds: { access: "write", type: "array<u32>" },
      ...Object.fromEntries(columns),
    },
    data: "array<u32>",
    code: rankWgsl(variant),
  });
});

function rankWgsl(variant: RankVariant): string {
  return `${FLAT_WORKGROUP}

const THREADS = ${variant.threads}u;
/// The key of a slot that does not compete; those of slots that do are less.
const NO_KEY = 0xffffffffu;
const NONE = 0xffffffffu;

struct Ranking {
  score: u32,
  // Rows that compete, of the plan.
  first_row: u32, rows: u32,
  // Where the keys of the first of them begin.
  keys: u32,
  // Words of the program that says which slots compete; NONE where all do.
  within: u32, within_end: u32,
  // Words that are the ks, and the number of the first one's threshold.
  ks: u32, ks_end: u32, threshold: u32,
}

var<workgroup> competing: atomic<u32>;
var<workgroup> histogram: array<atomic<u32>, 256>;
var<workgroup> sixteens: array<u32, 16>;
var<workgroup> competitors: u32;
// The next digit of the last slot that passes, how many pass of those that have it, and how many have it.
var<workgroup> chosen: vec3u;
${RANK_TESTS}
${slotWgsl(sourceOf(variant))}
${BOOL_PROGRAM}
${scoreWgsl(variant)}
fn ranking_at(at: u32) -> Ranking {
  return Ranking(data[at], data[at + 1u], data[at + 2u], data[at + 3u], data[at + 4u], data[at + 5u],
    data[at + 6u], data[at + 7u], data[at + 8u]);
}

/// Both zeros are one score; what is not a number counts as the least.
fn falling_key(score: f32) -> u32 {
  let bits = bitcast<u32>(score);
  let size = bits & 0x7fffffffu;
  if (size > 0x7f800000u) { return 0xff800000u; }
  if (size == 0u) { return 0x7fffffffu; }
  return select(0x7fffffffu - bits, bits, bits >= 0x80000000u);
}

/// Give the ranking's slots their keys, and return how many compete. A thread sees the same slots here and ever after.
fn key_slots(ranking: Ranking, thread: u32) -> u32 {
  var own = 0u;
  for (var i = 0u; i < ranking.rows; i++) {
    let row = ranking.first_row + i;
    let count = slots_of(row);
    for (var number = thread; number < count; number += THREADS) {
      let slot = Slot(row, number, position_of(row, number));
      var key = NO_KEY;
      if (ranking.within == NONE || holds(ranking.within, ranking.within_end, slot)) {
        key = falling_key(score_of(ranking.score, slot));
        own++;
      }
      keys[ranking.keys + i * params.capacity + number] = key;
    }
  }
  return own;
}

/// Count the slots that agree with the limit in all bits above a digit, by that digit.
fn count_digits(ranking: Ranking, limit: vec3u, part: u32, shift: u32, thread: u32) {
  // A shift by 32 would be one by 0.
  let above = (0xffffff00u << shift);
  for (var i = 0u; i < ranking.rows; i++) {
    let row = ranking.first_row + i;
    let count = slots_of(row);
    for (var number = thread; number < count; number += THREADS) {
      let at = ranking.keys + i * params.capacity + number;
      var word = keys[at];
      if (word == NO_KEY) { continue; }
      if (part > 0u) {
        if (word != limit.x) { continue; }
        word = position_of(row, number);
        if (part > 1u) {
          if (word != limit.y) { continue; }
          word = at;
        }
      }
      if (((word ^ limit[part]) & above) == 0u) { atomicAdd(&histogram[(word >> shift) & 255u], 1u); }
    }
  }
}

/// The digit with which the room runs out.
fn choose_digit(room: u32) -> vec3u {
  var left = room;
  var group = 0u;
  while (group < 15u && sixteens[group] < left) {
    left -= sixteens[group];
    group++;
  }
  var digit = group * 16u;
  while (digit < 255u && atomicLoad(&histogram[digit]) < left) {
    left -= atomicLoad(&histogram[digit]);
    digit++;
  }
  return vec3(digit, left, atomicLoad(&histogram[digit]));
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let task = flat_workgroup(group, groups);
  if (task >= params.tasks) { return; }
  let end = data[task * 2u + 1u];
  for (var at = data[task * 2u]; at < end; at += 9u) {
    let ranking = ranking_at(at);
    if (thread == 0u) { atomicStore(&competing, 0u); }
    workgroupBarrier();
    atomicAdd(&competing, key_slots(ranking, thread));
    workgroupBarrier();
    if (thread == 0u) { competitors = atomicLoad(&competing); }
    let rivals = workgroupUniformLoad(&competitors);
    for (var i = ranking.ks; i < ranking.ks_end; i++) {
      let k = data[i];
      // No slot has a key of 0, and all that compete have one below NO_KEY.
      var limit = vec3u();
      if (k >= rivals) { limit = vec3(NO_KEY - 1u, 0xffffffffu, 0xffffffffu); }
      else if (k > 0u) {
        var room = k;
        for (var digit = 0u; digit < 12u; digit++) {
          let part = digit / 4u;
          let shift = 24u - 8u * (digit % 4u);
          for (var bin = thread; bin < 256u; bin += THREADS) { atomicStore(&histogram[bin], 0u); }
          workgroupBarrier();
          count_digits(ranking, limit, part, shift, thread);
          workgroupBarrier();
          if (thread < 16u) {
            var sum = 0u;
            for (var bin = 0u; bin < 16u; bin++) { sum += atomicLoad(&histogram[thread * 16u + bin]); }
            sixteens[thread] = sum;
          }
          workgroupBarrier();
          if (thread == 0u) { chosen = choose_digit(room); }
          let found = workgroupUniformLoad(&chosen);
          limit[part] |= found.x << shift;
          room = found.y;
          if (found.y == found.z) {
            // All that agree so far pass, whatever their other bits are.
            limit[part] |= (1u << shift) - 1u;
            if (part < 1u) { limit.y = 0xffffffffu; }
            if (part < 2u) { limit.z = 0xffffffffu; }
            break;
          }
        }
      }
      if (thread == 0u) {
        let place = (ranking.threshold + i - ranking.ks) * 3u;
        thresholds[place] = limit.x;
        thresholds[place + 1u] = limit.y;
        thresholds[place + 2u] = limit.z;
      }
    }
    // The next ranking's programs may ask for these thresholds.
    storageBarrier();
  }
}
`;
}
