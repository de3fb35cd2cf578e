export interface ReductionOptions {
  readonly operation: "sum" | "max";
  /** Invocations of the workgroup, a power of two. */
  readonly workgroupSize: number;
  /** Whether the device has subgroups, of whatever size. */
  readonly subgroups: boolean;
}

/** How a workgroup brings one f32 of each invocation together. */
export interface Reduction {
  /** For `main`'s parameter list. */
  readonly parameters: string;
  /** Functions and variables. */
  readonly declarations: string;
  /** An expression: the result, the same in every invocation. To be used in uniform control flow only. */
  call(value: string): string;
}

/** What of `main`'s parameters a reduction needs: `local`, and with subgroups `lane` and `lanes`. */
export function reductionParameters(subgroups: boolean): string {
  const local = "@builtin(local_invocation_index) local: u32";
  if (!subgroups) return local;
  return `${local}, @builtin(subgroup_invocation_id) lane: u32, @builtin(subgroup_size) lanes: u32`;
}

/** Within subgroups first where there are some; else, and between subgroups, through workgroup memory. */
export function workgroupReduction({ operation, workgroupSize, subgroups }: ReductionOptions): Reduction {
  const name = `workgroup_${operation}`;
  const combine = (a: string, b: string): string => (operation === "sum" ? `${a} + ${b}` : `max(${a}, ${b})`);
  const shared = `var<workgroup> ${name}_parts: array<f32, ${workgroupSize}>;`;
  if (!subgroups) {
    return {
      parameters: reductionParameters(subgroups),
      declarations: `${shared}

fn ${name}(value: f32, local: u32) -> f32 {
  workgroupBarrier();
  ${name}_parts[local] = value;
  for (var half = ${workgroupSize / 2}u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (local < half) {
      ${name}_parts[local] = ${combine(`${name}_parts[local]`, `${name}_parts[local + half]`)};
    }
  }
  workgroupBarrier();
  return ${name}_parts[0];
}`,
      call: (value) => `${name}(${value}, local)`,
    };
  }
  return {
    parameters: reductionParameters(subgroups),
    declarations: `${shared}

fn ${name}(value: f32, local: u32, lane: u32, lanes: u32) -> f32 {
  let part = ${operation === "sum" ? "subgroupAdd" : "subgroupMax"}(value);
  workgroupBarrier();
  if (lane == 0u) {
    ${name}_parts[local / lanes] = part;
  }
  workgroupBarrier();
  var whole = ${name}_parts[0];
  for (var i = 1u; i < (${workgroupSize}u + lanes - 1u) / lanes; i++) {
    whole = ${combine("whole", `${name}_parts[i]`)};
  }
  return whole;
}`,
    call: (value) => `${name}(${value}, local, lane, lanes)`,
  };
}
