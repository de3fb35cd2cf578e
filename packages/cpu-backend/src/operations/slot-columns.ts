import { STORED_COLUMNS, type SelectSlots } from "@winnow/core-tensor";
import { f32Of, u32Of } from "@winnow/core-tensor/cpu";

import type { Address } from "../kernels";
import type { Machine } from "../machine";

/** Tell the kernels which statistics move with the slots: a table's where it has them. */
export function moveColumns({ kernels, memory }: Machine, slots: SelectSlots): void {
  const addressOf = (name: (typeof STORED_COLUMNS)[number]): Address => {
    if (slots.kind === "pages") return 0;
    if (name === "position") return memory.addressOf(u32Of(slots.position));
    const column = slots.columns[name];
    return column === undefined ? 0 : memory.addressOf(f32Of(column));
  };
  const [position = 0, mass = 0, maxWeight = 0, windowMass = 0, lastMass = 0, lastMaxWeight = 0] =
    STORED_COLUMNS.map(addressOf);
  kernels.move_columns(position, mass, maxWeight, windowMass, lastMass, lastMaxWeight, slots.capacity);
}
