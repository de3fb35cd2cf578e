/**
 * Rank tests of one slot, once the rankings are done.
 *
 * The kernel has the words of a `RankPlan` as its data, and the `keys` and `thresholds` of the rankings; its params have
 * `rows_at`.
 */
export const RANK_TESTS = `
struct Slot {
  // Row among those of the plan, the slot's number in it, and its token's position.
  row: u32, number: u32, position: u32,
}

/// Whether a comes no later than b.
fn no_later(a: vec3u, b: vec3u) -> bool {
  if (a.x != b.x) { return a.x < b.x; }
  if (a.y != b.y) { return a.y < b.y; }
  return a.z <= b.z;
}

/// Whether a slot passes a rank test of its head; it does not pass one that the head does not have.
fn passes(test: u32, slot: Slot) -> bool {
  let row = params.rows_at + slot.row * 4u;
  if (test >= data[row + 1u]) { return false; }
  let place = data[row] + test * 2u;
  let at = data[place] + slot.number;
  let limit = data[place + 1u];
  // A test that no program asks for has none.
  if (limit == 0xffffffffu) { return false; }
  return no_later(
    vec3(keys[at], slot.position, at),
    vec3(thresholds[limit * 3u], thresholds[limit * 3u + 1u], thresholds[limit * 3u + 2u]),
  );
}
`;
