/** Bytes of a message in pieces, so that a tensor's are not copied into every message around it. */
export interface Encoded {
  readonly bytes: number;
  readonly pieces: readonly Uint8Array[];
}

const VARINT = 0;
const LENGTH_DELIMITED = 2;
const FIXED_32 = 5;
const text = new TextEncoder();

/** A message: its fields one behind the other. */
export function message(...fields: readonly Encoded[]): Encoded {
  return {
    bytes: fields.reduce((sum, { bytes }) => sum + bytes, 0),
    pieces: fields.flatMap(({ pieces }) => pieces),
  };
}

/** A whole number; negative ones take ten bytes, as `int64` has them. */
export function integerField(field: number, value: number | bigint): Encoded {
  return encoded(Uint8Array.from([...varint(tag(field, VARINT)), ...varint(BigInt.asUintN(64, BigInt(value)))]));
}

export function floatField(field: number, value: number): Encoded {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setFloat32(0, value, true);
  return encoded(Uint8Array.from([...varint(tag(field, FIXED_32)), ...bytes]));
}

export function bytesField(field: number, value: Uint8Array): Encoded {
  return nested(field, encoded(value));
}

export function textField(field: number, value: string): Encoded {
  return bytesField(field, text.encode(value));
}

export function messageField(field: number, ...fields: readonly Encoded[]): Encoded {
  return nested(field, message(...fields));
}

/** The bytes of a message in one array. */
export function concatenated({ bytes, pieces }: Encoded): Uint8Array {
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

function nested(field: number, content: Encoded): Encoded {
  return message(
    encoded(Uint8Array.from([...varint(tag(field, LENGTH_DELIMITED)), ...varint(content.bytes)])),
    content,
  );
}

function encoded(bytes: Uint8Array): Encoded {
  return { bytes: bytes.length, pieces: [bytes] };
}

function tag(field: number, wireType: number): number {
  return field * 8 + wireType;
}

function varint(value: number | bigint): number[] {
  const bytes: number[] = [];
  let rest = BigInt(value);
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return [...bytes, Number(rest)];
}
