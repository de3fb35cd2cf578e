/** A value of GGUF's metadata with its type, as `gguf.md` names the types. */
export type GgufField =
  | { readonly type: "uint32" | "int32" | "float32" | "float64"; readonly value: number }
  | { readonly type: "uint64" | "int64"; readonly value: bigint }
  | { readonly type: "uint8" | "int8" | "uint16" | "int16"; readonly value: number }
  | { readonly type: "bool"; readonly value: boolean }
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "array"; readonly of: GgufField["type"]; readonly value: readonly GgufField[] };

/** A tensor as a test wants it in a file; the shape has the slowest dimension first. */
export interface GgufTensorToWrite {
  readonly name: string;
  readonly type: keyof typeof TENSOR_TYPES;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

const FIELD_TYPES = [
  "uint8",
  "int8",
  "uint16",
  "int16",
  "uint32",
  "int32",
  "float32",
  "bool",
  "string",
  "array",
  "uint64",
  "int64",
  "float64",
] as const;
const TENSOR_TYPES = {
  F32: 0,
  F16: 1,
  Q4_0: 2,
  Q4_1: 3,
  Q5_0: 6,
  Q5_1: 7,
  Q8_0: 8,
  Q4_K: 12,
  Q5_K: 13,
  Q6_K: 14,
  BF16: 30,
} as const;

export const u32 = (value: number): GgufField => ({ type: "uint32", value });
export const float = (value: number): GgufField => ({ type: "float32", value });
export const flag = (value: boolean): GgufField => ({ type: "bool", value });
export const text = (value: string): GgufField => ({ type: "string", value });
export const texts = (values: readonly string[]): GgufField => ({
  type: "array",
  of: "string",
  value: values.map(text),
});
export const ints = (values: readonly number[]): GgufField => ({
  type: "array",
  of: "int32",
  value: values.map((value) => ({ type: "int32", value })),
});
export const floats = (values: readonly number[]): GgufField => ({
  type: "array",
  of: "float32",
  value: values.map(float),
});

/** A GGUF file. Written against the format's description (ggml/docs/gguf.md), not against the reader. */
export function gguf(
  fields: Readonly<Record<string, GgufField>>,
  tensors: readonly GgufTensorToWrite[],
  { version = 3, alignment = 32 }: { readonly version?: number; readonly alignment?: number } = {},
): Uint8Array {
  const parts: Buffer[] = [Buffer.from("GGUF"), le32(version), le64(tensors.length), le64(Object.keys(fields).length)];
  for (const [key, field] of Object.entries(fields)) {
    parts.push(stringOf(key), le32(FIELD_TYPES.indexOf(field.type)), ...valueOf(field));
  }
  let at = 0;
  for (const { name, type, shape, data } of tensors) {
    parts.push(
      stringOf(name),
      le32(shape.length),
      ...[...shape].reverse().map(le64),
      le32(TENSOR_TYPES[type]),
      le64(at),
    );
    at += padded(data.length, alignment);
  }
  const header = Buffer.concat(parts);
  const pieces: Uint8Array[] = [header, Buffer.alloc(padded(header.length, alignment) - header.length)];
  for (const { data } of tensors) pieces.push(data, Buffer.alloc(padded(data.length, alignment) - data.length));
  return Buffer.concat(pieces);
}

function valueOf(field: GgufField): Buffer[] {
  switch (field.type) {
    case "string":
      return [stringOf(field.value)];
    case "bool":
      return [Buffer.from([field.value ? 1 : 0])];
    case "array":
      return [le32(FIELD_TYPES.indexOf(field.of)), le64(field.value.length), ...field.value.flatMap(valueOf)];
    case "uint64":
      return [Buffer.from(BigUint64Array.of(field.value).buffer)];
    case "int64":
      return [Buffer.from(BigInt64Array.of(field.value).buffer)];
    default: {
      const { [field.type]: Numbers } = NUMBERS;
      return [Buffer.from(Numbers.of(field.value).buffer)];
    }
  }
}

const NUMBERS = {
  uint8: Uint8Array,
  int8: Int8Array,
  uint16: Uint16Array,
  int16: Int16Array,
  uint32: Uint32Array,
  int32: Int32Array,
  float32: Float32Array,
  float64: Float64Array,
} as const;

function stringOf(value: string): Buffer {
  const bytes = Buffer.from(value, "utf8");
  return Buffer.concat([le64(bytes.length), bytes]);
}

function le32(value: number): Buffer {
  return Buffer.from(Uint32Array.of(value).buffer);
}

function le64(value: number): Buffer {
  return Buffer.from(BigUint64Array.of(BigInt(value)).buffer);
}

function padded(bytes: number, alignment: number): number {
  return Math.ceil(bytes / alignment) * alignment;
}
