import { defineKernel, kernelVariants } from "../../dispatch/kernel";
import { HISTOGRAM_WORDS } from "./histogram";
import { sampleLogitsWgsl } from "./sample-logits";
import { SURVEYS_MERGED, TOKEN_GIVEN } from "./sample-merge";
import { SAMPLE_PARAMS } from "./sample-params";
import { BUCKETS, WEIGHTS } from "./sample-weights";

/** Buckets that one thread adds up, when a bucket is looked for. */
const BLOCK = 16;

export interface SampleDrawVariant {
  /** Whether tokens seen are penalised. */
  readonly penalised: boolean;
  readonly threads: number;
}

/**
 * Draws a token. Tokens stand in the order of falling logits, those of equal logits in their own; every filter but
 * min-p keeps a first part of them, whose mass is all that the next one needs to know, and min-p's is known already. So
 * top-k, top-p and the draw each look for the first token up to which the count or the mass exceeds a number: first the
 * bucket of its logit; then, among the tokens of that bucket, digit by digit its key, and if several have it, its id.
 */
export const sampleDrawKernel = kernelVariants((variant: SampleDrawVariant) =>
  defineKernel({
    label: "sample.draw",
    params: SAMPLE_PARAMS,
    storage: {
      logits: { access: "read", type: "array<u32>" },
      surveys: { access: "read", type: "array<Survey>" },
      histogram: { access: "read", type: `array<u32, ${HISTOGRAM_WORDS}>` },
      // Key and id of the tokens of one bucket, in any order.
      listed: { access: "write", type: "array<vec2u>" },
      token: { access: "write", type: "array<u32>" },
      log_probability: { access: "write", type: "array<u32>" },
    },
    ...(variant.penalised ? { data: "array<u32>" } : {}),
    code: sampleDrawWgsl(variant),
  }),
);

function sampleDrawWgsl({ penalised, threads }: SampleDrawVariant): string {
  return `
const THREADS = ${threads}u;
const BUCKETS = ${BUCKETS}u;
const BLOCK = ${BLOCK}u;

/// What is looked for: the first token up to which the count (or the mass) exceeds these.
struct Search {
  count: u32,
  // Mass of the tokens before the bucket found.
  passed: vec2u,
  mass: vec2u,
  // The bucket found, how many tokens it has, and the least.
  bucket: u32,
  members: u32,
  least: u32,
}

${sampleLogitsWgsl({ penalised })}
${SURVEYS_MERGED}
${TOKEN_GIVEN}
${WEIGHTS}
var<workgroup> counts: array<atomic<u32>, BUCKETS>;
var<workgroup> lows: array<atomic<u32>, BUCKETS>;
var<workgroup> highs: array<atomic<u32>, BUCKETS>;
var<workgroup> leasts: array<atomic<u32>, BUCKETS>;
var<workgroup> block_counts: array<u32, ${BUCKETS / BLOCK}>;
var<workgroup> block_masses: array<vec2u, ${BUCKETS / BLOCK}>;
var<workgroup> length: atomic<u32>;
var<workgroup> search: Search;
var<workgroup> shared_word: u32;
var<workgroup> shared_mass: vec2u;

fn mass_in(bucket: u32) -> vec2u { return vec2u(atomicLoad(&lows[bucket]), atomicLoad(&highs[bucket])); }

fn exceeds(by_count: bool, count: u32, mass: vec2u) -> bool {
  return select(less(search.mass, mass), search.count < count, by_count);
}

fn pass_over(by_count: bool, count: u32, mass: vec2u) {
  if (by_count) { search.count -= count; } else { search.mass = subtract(search.mass, mass); }
  search.passed = add(search.passed, mass);
}

/// Finds the bucket in what was counted. All threads have counted.
fn find_bucket(by_count: bool, thread: u32) -> u32 {
  workgroupBarrier();
  if (thread < BUCKETS / BLOCK) {
    var count = 0u;
    var mass = vec2u();
    for (var i = 0u; i < BLOCK; i++) {
      count += atomicLoad(&counts[thread * BLOCK + i]);
      mass = add(mass, mass_in(thread * BLOCK + i));
    }
    block_counts[thread] = count;
    block_masses[thread] = mass;
  }
  workgroupBarrier();
  if (thread == 0u) {
    var bucket = 0u;
    var last = 0u;
    while (bucket < BUCKETS) {
      let block = bucket / BLOCK;
      if (bucket % BLOCK == 0u && !exceeds(by_count, block_counts[block], block_masses[block])) {
        pass_over(by_count, block_counts[block], block_masses[block]);
        if (block_counts[block] > 0u) { last = bucket; }
        bucket += BLOCK;
        continue;
      }
      let count = atomicLoad(&counts[bucket]);
      if (exceeds(by_count, count, mass_in(bucket))) { break; }
      pass_over(by_count, count, mass_in(bucket));
      if (count > 0u) { last = bucket; }
      bucket++;
    }
    if (bucket == BUCKETS) {
      // The last token then: devices may round a weight one way here and another there.
      for (var i = last; i < last / BLOCK * BLOCK + BLOCK; i++) {
        if (atomicLoad(&counts[i]) > 0u) { bucket = i; }
      }
      search.count = atomicLoad(&counts[bucket]) - 1u;
      search.passed = subtract(search.passed, mass_in(bucket));
      search.mass = mass_in(bucket);
    }
    search.bucket = bucket;
    search.members = atomicLoad(&counts[bucket]);
    search.least = atomicLoad(&leasts[bucket]);
    shared_word = bucket;
  }
  return workgroupUniformLoad(&shared_word);
}

fn empty_buckets(thread: u32) {
  workgroupBarrier();
  for (var i = thread; i < BUCKETS; i += THREADS) {
    atomicStore(&counts[i], 0u);
    atomicStore(&lows[i], 0u);
    atomicStore(&highs[i], 0u);
    atomicStore(&leasts[i], 0xffffffffu);
  }
  workgroupBarrier();
}

fn load_histogram(thread: u32) {
  for (var i = thread; i < BUCKETS; i += THREADS) {
    atomicStore(&counts[i], histogram[i]);
    atomicStore(&lows[i], histogram[BUCKETS + i]);
    atomicStore(&highs[i], histogram[2u * BUCKETS + i]);
  }
}

/// Counts those listed whose key (and then id) begins as it must, by its next digit.
fn count_digits(size: u32, key: vec2u, mask: vec2u, of_id: bool, shift: u32, greatest: u32, thread: u32) {
  for (var i = thread; i < size; i += THREADS) {
    let entry = listed[i];
    if (any(((entry ^ key) & mask) != vec2u())) { continue; }
    let digit = (select(entry.x, entry.y, of_id) >> shift) & 255u;
    atomicAdd(&counts[digit], 1u);
    atomicMin(&leasts[digit], entry.y);
    let mass = mass_of(depth_of(bits_of(entry.x), greatest));
    let before = atomicAdd(&lows[digit], mass.x);
    atomicAdd(&highs[digit], mass.y + u32(before + mass.x < before));
  }
}

/// Lists the tokens of a bucket; gives their number.
fn list_bucket(bucket: u32, greatest: u32, thread: u32) -> u32 {
  if (thread == 0u) { atomicStore(&length, 0u); }
  workgroupBarrier();
  for (var i = thread; i < params.count; i += THREADS) {
    let bits = penalised(i, logits[params.first + i]);
    if (bucket_of(depth_of(bits, greatest)) == bucket) {
      listed[atomicAdd(&length, 1u)] = vec2u(key_of(bits), i);
    }
  }
  storageBarrier();
  workgroupBarrier();
  if (thread == 0u) { shared_word = atomicLoad(&length); }
  return workgroupUniformLoad(&shared_word);
}

/// How many tokens of one weight exceed a mass, at most so many.
fn needed(weight: vec2u, mass: vec2u, most: u32) -> u32 {
  var low = 1u;
  var high = most;
  while (low < high) {
    let middle = low + (high - low) / 2u;
    if (less(mass, times(weight, middle))) { high = middle; } else { low = middle + 1u; }
  }
  return low;
}

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) thread: u32) {
  let all = merge_surveys(thread);
  let greatest = bits_of(all.key);
  if (all.nan != 0u || !is_finite(greatest)) {
    // Beside an infinite logit no other has a chance.
    if (thread == 0u) { give(select(all.id, 0xffffffffu, all.nan != 0u), all); }
    return;
  }
  // Mass of the tokens that are left: all; then of those that top-k leaves, and top-p.
  var left = vec2u();
  for (var i = 0u; i < BUCKETS; i++) { left = add(left, vec2u(histogram[BUCKETS + i], histogram[2u * BUCKETS + i])); }
  for (var stage = 0u; stage < 3u; stage++) {
    let by_count = stage == 0u;
    if (stage == 0u && (params.top_k == 0u || params.top_k >= params.count)) { continue; }
    if (stage == 1u && params.top_p == 0u) { continue; }
    if (stage == 2u && params.min_p > 0.0) {
      let likely = vec2u(histogram[3u * BUCKETS], histogram[3u * BUCKETS + 1u]);
      if (less(likely, left)) { left = likely; }
    }
    let share = select(params.random, params.top_p, stage == 1u);
    let low = product(left.x, share);
    var wanted = add(product(left.y, share), vec2u(low.y, 0u));
    // The nucleus reaches its share where the draw exceeds it.
    if (stage == 1u && low.x == 0u && any(wanted != vec2u())) { wanted = subtract(wanted, vec2u(1u, 0u)); }

    if (thread == 0u) { search = Search(max(params.top_k, 1u) - 1u, vec2u(), wanted, 0u, 0u, 0u); }
    var size = 0u;
    var key = vec2u();
    var mask = vec2u();
    // The bucket, four digits of the key and four of the id: one loop, for devices copy functions where they are called.
    for (var step = 0u; step < 9u; step++) {
      let of_id = step > 4u;
      let shift = (8u - step) % 4u * 8u;
      empty_buckets(thread);
      if (step == 0u) { load_histogram(thread); } else { count_digits(size, key, mask, of_id, shift, greatest, thread); }
      let bucket = find_bucket(by_count || of_id, thread);
      if (step == 0u) {
        size = list_bucket(bucket, greatest, thread);
        continue;
      }
      let word = vec2<bool>(!of_id, of_id);
      key |= select(vec2u(), vec2u(bucket << shift), word);
      mask |= select(vec2u(), vec2u(255u << shift), word);
      if (step != 4u) { continue; }
      if (thread == 0u) {
        // Tokens of one key have one weight.
        let weight = mass_of(depth_of(bits_of(key.x), greatest));
        let tokens = select(needed(weight, search.mass, search.members), search.count + 1u, by_count);
        search.count = tokens - 1u;
        shared_mass = add(search.passed, times(weight, tokens));
        shared_word = search.members;
      }
      left = workgroupUniformLoad(&shared_mass);
      let members = workgroupUniformLoad(&shared_word);
      if (stage < 2u || members == 1u) { break; }
    }
    if (stage < 2u) { continue; }
    if (thread == 0u) { give(search.least, all); }
  }
}
`;
}
