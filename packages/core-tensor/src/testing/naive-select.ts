import { BoolOp, type BoolProgram } from "../bool-program";
import type { RankTest, SelectProgram } from "../select-program";

/** What a slot is to a program, with its scores by number: one object a slot, as plain as can be. */
export interface NaiveSlot {
  readonly head: number;
  readonly position: number;
  readonly distance: number;
  readonly flags: number;
  readonly scores: readonly number[];
}

/** Which slots of a layer's heads their programs keep. */
export function naiveSelect(layer: readonly (readonly NaiveSlot[])[], programs: readonly SelectProgram[]): boolean[][] {
  const holds = (program: BoolProgram, slot: NaiveSlot): boolean => {
    const stack: boolean[] = [];
    const pop = (): boolean => stack.pop() === true;
    for (let i = 0; i < program.length; i++) {
      const word = program[i] ?? 0;
      const operand = word >>> 8;
      switch (word & 0xff) {
        case BoolOp.constant:
          stack.push(operand === 1);
          break;
        case BoolOp.hasClass:
          stack.push((slot.flags & operand) !== 0);
          break;
        case BoolOp.before:
          stack.push(slot.position < operand);
          break;
        case BoolOp.every:
          stack.push(slot.position % operand === program[++i]);
          break;
        case BoolOp.near:
          stack.push(slot.distance < operand);
          break;
        case BoolOp.rank: {
          const test = programs[slot.head]?.ranks[operand];
          stack.push(test !== undefined && naiveOrder(layer, slot.head, test, holds).slice(0, test.k).includes(slot));
          break;
        }
        case BoolOp.not:
          stack.push(!pop());
          break;
        case BoolOp.and: {
          const right = pop();
          stack.push(pop() && right);
          break;
        }
        case BoolOp.or: {
          const right = pop();
          stack.push(pop() || right);
          break;
        }
      }
    }
    return pop();
  };
  return layer.map((slots, head) => slots.map((slot) => holds(programs[head]?.keep ?? [], slot)));
}

/** The slots that compete, in the order of their ranks. */
export function naiveOrder(
  layer: readonly (readonly NaiveSlot[])[],
  head: number,
  { score, scope, within }: Pick<RankTest, "score" | "scope" | "within">,
  holds: (program: BoolProgram, slot: NaiveSlot) => boolean,
): NaiveSlot[] {
  const scoreOf = (slot: NaiveSlot): number => {
    const value = slot.scores[score] ?? NaN;
    return Number.isNaN(value) ? -Infinity : value;
  };
  return layer
    .flatMap((slots, rival) => (scope === "layer" || rival === head ? slots : []))
    .filter((slot) => within === undefined || holds(within, slot))
    .sort((a, b) => {
      const [x, y] = [scoreOf(a), scoreOf(b)];
      return x === y ? a.position - b.position || a.head - b.head : y > x ? 1 : -1;
    });
}
