import { writeFile } from "node:fs/promises";

/** A tensor as a test wants it in a file. */
export interface TensorToWrite {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

export type HeaderJson = Record<string, unknown>;

/** The header of a well-formed file, with offsets one after the other. */
export function headerOf(tensors: readonly TensorToWrite[]): HeaderJson {
  let at = 0;
  const header: HeaderJson = { __metadata__: { format: "pt" } };
  for (const { name, dtype, shape, data } of tensors) {
    header[name] = { dtype, shape, data_offsets: [at, at + data.length] };
    at += data.length;
  }
  return header;
}

/** A file of a header, whatever it says, and data. Written against the format's description, not against the reader. */
export function assemble(header: string | Uint8Array, data: Uint8Array, length?: bigint): Uint8Array {
  const bytes =
    typeof header === "string" ? Buffer.from(header.padEnd(Math.ceil(header.length / 8) * 8), "utf8") : header;
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(length ?? BigInt(bytes.length));
  return Buffer.concat([prefix, bytes, data]);
}

export function safetensors(tensors: readonly TensorToWrite[]): Uint8Array {
  return assemble(JSON.stringify(headerOf(tensors)), Buffer.concat(tensors.map(({ data }) => data)));
}

export async function writeSafetensors(path: string, tensors: readonly TensorToWrite[]): Promise<void> {
  await writeFile(path, safetensors(tensors));
}

/** F32 values as a tensor to write. */
export function f32(name: string, shape: readonly number[], values: readonly number[]): TensorToWrite {
  return { name, dtype: "F32", shape, data: new Uint8Array(Float32Array.from(values).buffer) };
}

/** 16-bit patterns as a tensor to write. */
export function halves(
  name: string,
  dtype: "F16" | "BF16",
  shape: readonly number[],
  patterns: readonly number[],
): TensorToWrite {
  return { name, dtype, shape, data: new Uint8Array(Uint16Array.from(patterns).buffer) };
}
