import { STORED_COLUMNS, type SelectSlots } from "@winnow/core-tensor";
import { f32Of, u32Of } from "@winnow/core-tensor/cpu";

import type { Address, Kernels } from "../kernels";

/** Tell the kernels which statistics move with the slots: a table's where it has them. */
export function moveColumns(kernels: Kernels, slots: SelectSlots): void {
  const addressOf = (name: (typeof STORED_COLUMNS)[number]): Address => {
    if (slots.kind === "pages") return 0;
    if (name === "position") return u32Of(slots.position).byteOffset;
    const column = slots.columns[name];
    return column === undefined ? 0 : f32Of(column).byteOffset;
  };
  const [position = 0, mass = 0, maxWeight = 0, windowMass = 0, lastMass = 0, lastMaxWeight = 0] =
    STORED_COLUMNS.map(addressOf);
  kernels.move_columns(position, mass, maxWeight, windowMass, lastMass, lastMaxWeight, slots.capacity);
}
