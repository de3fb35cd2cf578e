import { isDeviceTensor, isLasting, type DeviceTensor } from "@winnow/core-tensor";
import { dataOf } from "@winnow/core-tensor/cpu";

/**
 * What specifications come to, such as the addresses of their tensors. Of one that lasts it is kept, and only looked over for
 * tensors that were disposed since.
 *
 * @param prepare checks a specification, and throws where it is wrong.
 */
export function prepareOnce<Spec extends object, Made>(prepare: (spec: Spec) => Made): (spec: Spec) => Made {
  const kept = new WeakMap<Spec, { readonly made: Made; readonly tensors: readonly DeviceTensor[] }>();
  return (spec) => {
    const known = kept.get(spec);
    if (known !== undefined) {
      // Where they lay there may be others by now.
      for (const tensor of known.tensors) dataOf(tensor);
      return known.made;
    }
    const made = prepare(spec);
    if (isLasting(spec)) kept.set(spec, { made, tensors: tensorsIn(spec) });
    return made;
  };
}

function tensorsIn(spec: object): DeviceTensor[] {
  const found: DeviceTensor[] = [];
  const collect = (parent: object): void => {
    const values: readonly unknown[] = Object.values(parent);
    for (const value of values) {
      if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) continue;
      if (isDeviceTensor(value)) found.push(value);
      else collect(value);
    }
  };
  collect(spec);
  return found;
}
