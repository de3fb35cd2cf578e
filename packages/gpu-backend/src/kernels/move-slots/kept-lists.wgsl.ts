import { LIST_HEADER } from "./list-kept.wgsl";

/** How kernels read what `listKeptWgsl` wrote. The shader binds `lists`, and its `Params` have `room`. */
export const KEPT_LISTS = `
/// Columns of a head that are kept.
fn kept_count(head: u32) -> u32 { return lists[head * (${LIST_HEADER}u + params.room)]; }
/// The slot that the first of them goes to; the others follow.
fn first_slot(head: u32) -> u32 { return lists[head * (${LIST_HEADER}u + params.room) + 1u]; }
/// The first column that was considered.
fn first_column(head: u32) -> u32 { return lists[head * (${LIST_HEADER}u + params.room) + 2u]; }
fn kept_column(head: u32, i: u32) -> u32 { return lists[head * (${LIST_HEADER}u + params.room) + ${LIST_HEADER}u + i]; }
`;
