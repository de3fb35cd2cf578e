/** A value of a GGUF file's metadata that is written, by the names of its type in ggml/docs/gguf.md. */
export type GgufFieldValue =
  | { readonly type: "uint32"; readonly value: number }
  | { readonly type: "float32"; readonly value: number }
  | { readonly type: "bool"; readonly value: boolean }
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "strings"; readonly value: readonly string[] }
  | { readonly type: "int32s"; readonly value: readonly number[] }
  | { readonly type: "float32s"; readonly value: readonly number[] };

export type GgufFields = ReadonlyMap<string, GgufFieldValue>;

/** A tensor that is written: its shape has the slowest dimension first. */
export interface GgufTensorPlace {
  readonly name: string;
  /** Its number in ggml.h, `ggml_type`. */
  readonly typeId: number;
  readonly shape: readonly number[];
  readonly bytes: number;
}

const VERSION = 3;
/** Of the tensors' data, where a file does not say another one. */
export const GGUF_ALIGNMENT = 32;
const TYPE_IDS = { uint32: 4, int32: 5, float32: 6, bool: 7, string: 8, array: 9 } as const;

/** Bytes up to the next multiple of the alignment. */
export function ggufPadding(bytes: number): number {
  return (GGUF_ALIGNMENT - (bytes % GGUF_ALIGNMENT)) % GGUF_ALIGNMENT;
}

/**
 * The header of a GGUF file, version 3, up to where its tensors' data begin: these follow in the order of `tensors`, each
 * padded by {@link ggufPadding}.
 */
export function ggufHeader(fields: GgufFields, tensors: readonly GgufTensorPlace[]): Uint8Array {
  const parts: Uint8Array[] = [text("GGUF"), u32(VERSION), u64(tensors.length), u64(fields.size)];
  for (const [key, field] of fields) {
    parts.push(string(key));
    // One by one: there are more tokens than a call has room for arguments.
    for (const part of encoded(field)) parts.push(part);
  }
  let offset = 0;
  for (const { name, typeId, shape, bytes } of tensors) {
    parts.push(string(name), u32(shape.length), ...shape.toReversed().map(u64), u32(typeId), u64(offset));
    offset += bytes + ggufPadding(bytes);
  }
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const header = new Uint8Array(length + ggufPadding(length));
  let at = 0;
  for (const part of parts) {
    header.set(part, at);
    at += part.length;
  }
  return header;
}

function encoded(field: GgufFieldValue): Uint8Array[] {
  switch (field.type) {
    case "uint32":
      return [u32(TYPE_IDS.uint32), u32(field.value)];
    case "float32":
      return [u32(TYPE_IDS.float32), f32(field.value)];
    case "bool":
      return [u32(TYPE_IDS.bool), Uint8Array.of(field.value ? 1 : 0)];
    case "string":
      return [u32(TYPE_IDS.string), string(field.value)];
    case "strings":
      return [...array(TYPE_IDS.string, field.value.length), ...field.value.map(string)];
    case "int32s":
      return [...array(TYPE_IDS.int32, field.value.length), bytesOf(Int32Array.from(field.value))];
    case "float32s":
      return [...array(TYPE_IDS.float32, field.value.length), bytesOf(Float32Array.from(field.value))];
  }
}

function array(typeId: number, length: number): Uint8Array[] {
  return [u32(TYPE_IDS.array), u32(typeId), u64(length)];
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

function string(value: string): Uint8Array {
  const bytes = text(value);
  const all = new Uint8Array(8 + bytes.length);
  all.set(u64(bytes.length));
  all.set(bytes, 8);
  return all;
}

function u32(value: number): Uint8Array {
  return bytesOf(Uint32Array.of(value));
}

function f32(value: number): Uint8Array {
  return bytesOf(Float32Array.of(value));
}

function u64(value: number): Uint8Array {
  return bytesOf(BigUint64Array.of(BigInt(value)));
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
