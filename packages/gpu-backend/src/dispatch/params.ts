import { WinnowError } from "@winnow/core-tensor";

export type ParamType = "u32" | "i32" | "f32";
export type ParamFields = Readonly<Record<string, ParamType>>;
export type ParamValues<Fields extends ParamFields> = { readonly [Name in keyof Fields]: number };

const WORD_BYTES = 4;
/** WGSL rounds the size of a uniform struct up to this. */
const UNIFORM_ALIGNMENT = 16;

/** Parameters of one dispatch, ready to be written where the device reads them. */
export interface PackedParams {
  readonly bytes: number;
  write(target: DataView, offset: number): void;
}

/** The numbers that a kernel takes: one description for the WGSL struct and for what the host writes. */
export interface ParamBlock<Fields extends ParamFields> {
  readonly fields: Fields;
  /** Bytes of the struct as a uniform. */
  readonly bytes: number;
  /** `struct Params { ... }` */
  readonly wgsl: string;
  /** @throws WinnowError `range` for a number that its field cannot hold, when it is written. */
  pack(values: ParamValues<Fields>): PackedParams;
}

/**
 * Describe a kernel's parameters. In WGSL they are `params.rows`, …
 *
 * @example
 * ```ts
 * const PARAMS = paramBlock({ rows: "u32", epsilon: "f32" });
 * PARAMS.pack({ rows: 4, epsilon: 1e-5 });
 * ```
 */
export function paramBlock<const Fields extends ParamFields>(fields: Fields): ParamBlock<Fields> {
  const entries = Object.entries(fields);
  const bytes = Math.ceil((entries.length * WORD_BYTES) / UNIFORM_ALIGNMENT) * UNIFORM_ALIGNMENT;
  return {
    fields,
    bytes,
    wgsl: `struct Params {\n${entries.map(([name, type]) => `  ${name}: ${type},\n`).join("")}}`,
    pack: (values) => ({
      bytes,
      write: (target, offset) => {
        let at = offset;
        for (const [name, type] of entries) {
          writeParam(target, at, name, type, values[name] ?? NaN);
          at += WORD_BYTES;
        }
      },
    }),
  };
}

function writeParam(target: DataView, at: number, name: string, type: ParamType, value: number): void {
  if (type === "f32") {
    target.setFloat32(at, value, true);
    return;
  }
  const [least, greatest] = type === "u32" ? [0, 2 ** 32 - 1] : [-(2 ** 31), 2 ** 31 - 1];
  if (!Number.isInteger(value) || value < least || value > greatest) {
    throw new WinnowError("range", `the parameter ${name} is ${value}, expected ${type}: ${least} to ${greatest}`);
  }
  if (type === "u32") target.setUint32(at, value, true);
  else target.setInt32(at, value, true);
}
