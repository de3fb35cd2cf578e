import { BoolOp } from "@winnow/core-tensor";

/**
 * Programs run on one slot: what `runBoolProgram` of core-tensor does on the host.
 *
 * Goes with `RANK_TESTS` and `slotWgsl`. The kernel's params have `now` too.
 */
export const BOOL_PROGRAM = `
fn push(stack: i32, value: bool) -> i32 { return (stack << 1u) | select(0i, 1i, value); }

/// Run the words first .. end on a slot; no words hold for none.
fn holds(first: u32, end: u32, slot: Slot) -> bool {
  // Booleans, the top in the lowest bit.
  var stack = 0i;
  for (var i = first; i < end; i++) {
    let word = data[i];
    let operand = word >> 8u;
    switch word & 0xffu {
      case ${BoolOp.constant}u: { stack = push(stack, operand != 0u); }
      case ${BoolOp.hasClass}u: { stack = push(stack, (flags_of(slot) & operand) != 0u); }
      case ${BoolOp.before}u: { stack = push(stack, slot.position < operand); }
      case ${BoolOp.every}u: {
        i++;
        stack = push(stack, operand != 0u && slot.position % max(operand, 1u) == data[i]);
      }
      case ${BoolOp.near}u: { stack = push(stack, bitcast<i32>(params.now - slot.position) < i32(operand)); }
      case ${BoolOp.rank}u: { stack = push(stack, passes(operand, slot)); }
      case ${BoolOp.not}u: { stack ^= 1i; }
      case ${BoolOp.and}u: { stack = (stack >> 1u) & (stack | ~1i); }
      case ${BoolOp.or}u: { stack = (stack >> 1u) | (stack & 1i); }
      default: {}
    }
  }
  return (stack & 1i) == 1i;
}
`;
