import { WinnowError } from "@winnow/core-tensor";
import type { Poll } from "@winnow/core-tensor/cpu";

import type { Instance } from "./kernels";

type Operation<Spec> = (spec: Spec, poll: Poll) => void;

/**
 * An operation whose kernels may trap, which a specification that belies its tensors makes them do: its job is then ended, so
 * that the next finds all threads waiting.
 */
export function endTrapped<Spec>(
  { kernels, stack }: Instance,
  name: string,
  operation: Operation<Spec>,
): Operation<Spec> {
  const top: unknown = stack.value;
  return (spec, poll) => {
    try {
      operation(spec, poll);
    } catch (cause) {
      if (!(cause instanceof WebAssembly.RuntimeError)) throw cause;
      kernels.end_job();
      stack.value = top;
      throw new WinnowError("backend", `${name}: a kernel of the CPU backend stopped (${cause.message})`, { cause });
    }
  };
}
