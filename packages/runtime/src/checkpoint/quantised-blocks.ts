import { f16ToNumber } from "@winnow/core-tensor";

/** Writes the elements of the block that begins at a byte. */
type Decoder = (bytes: Uint8Array, at: number, out: Float32Array) => void;

/**
 * ggml's blocks of quantised weights (ggml-common.h, ggml-quants.c, `dequantize_row_*`): a few bits an element, and a scale, some
 * with an offset, for every so many. In the names a digit is the bits of an element, `_0` a scale alone, `_1` a scale and
 * an offset, `_K` blocks of 256 whose scales are themselves quantised.
 */
export const DECODERS: Readonly<Record<string, Decoder>> = {
  Q8_0(bytes, at, out) {
    const scale = half(bytes, at);
    for (let i = 0; i < 32; i++) out[i] = scale * signed(bytes, at + 2 + i);
  },

  Q4_0(bytes, at, out) {
    const scale = half(bytes, at);
    for (let i = 0; i < 16; i++) {
      const pair = byte(bytes, at + 2 + i);
      out[i] = scale * ((pair & 15) - 8);
      out[i + 16] = scale * ((pair >> 4) - 8);
    }
  },

  Q4_1(bytes, at, out) {
    const [scale, least] = [half(bytes, at), half(bytes, at + 2)];
    for (let i = 0; i < 16; i++) {
      const pair = byte(bytes, at + 4 + i);
      out[i] = scale * (pair & 15) + least;
      out[i + 16] = scale * (pair >> 4) + least;
    }
  },

  Q5_0(bytes, at, out) {
    const scale = half(bytes, at);
    fifthBits(bytes, at + 2, out);
    for (let i = 0; i < 32; i++) out[i] = scale * ((out[i] ?? 0) - 16);
  },

  Q5_1(bytes, at, out) {
    const [scale, least] = [half(bytes, at), half(bytes, at + 2)];
    fifthBits(bytes, at + 4, out);
    for (let i = 0; i < 32; i++) out[i] = scale * (out[i] ?? 0) + least;
  },

  Q4_K(bytes, at, out) {
    for (let part = 0; part < 8; part++) {
      const { scale, least } = partOfK(bytes, at, part);
      const from = at + 16 + 32 * (part >> 1);
      const shift = 4 * (part & 1);
      for (let i = 0; i < 32; i++) out[32 * part + i] = scale * ((byte(bytes, from + i) >> shift) & 15) - least;
    }
  },

  Q5_K(bytes, at, out) {
    for (let part = 0; part < 8; part++) {
      const { scale, least } = partOfK(bytes, at, part);
      const from = at + 48 + 32 * (part >> 1);
      const shift = 4 * (part & 1);
      for (let i = 0; i < 32; i++) {
        const high = (byte(bytes, at + 16 + i) >> part) & 1;
        out[32 * part + i] = scale * (((byte(bytes, from + i) >> shift) & 15) + 16 * high) - least;
      }
    }
  },

  Q6_K(bytes, at, out) {
    const whole = half(bytes, at + 208);
    for (let part = 0; part < 8; part++) {
      // Two runs of 128 elements, each of four parts that share the bytes of their bits.
      const [run, quarter] = [part >> 2, part & 3];
      const low = at + 64 * run + 32 * (quarter & 1);
      const high = at + 128 + 32 * run;
      for (let i = 0; i < 32; i++) {
        const scale = whole * signed(bytes, at + 192 + 8 * run + 2 * quarter + (i >> 4));
        const bits = (byte(bytes, low + i) >> (4 * (quarter >> 1))) & 15;
        out[32 * part + i] = scale * ((bits | (((byte(bytes, high + i) >> (2 * quarter)) & 3) << 4)) - 32);
      }
    }
  },
};

/** Elements of five bits: the fifth ones are a word, before the others. */
function fifthBits(bytes: Uint8Array, at: number, out: Float32Array): void {
  for (let i = 0; i < 32; i++) {
    const high = (byte(bytes, at + (i >> 3)) >> (i & 7)) & 1;
    const pair = byte(bytes, at + 4 + (i & 15));
    out[i] = (i < 16 ? pair & 15 : pair >> 4) + 16 * high;
  }
}

/** The scale and the offset of 32 elements of a block of 256: twelve bytes hold eight of each, of six bits. */
function partOfK(bytes: Uint8Array, at: number, part: number): { readonly scale: number; readonly least: number } {
  const packed = (i: number): number => byte(bytes, at + 4 + i);
  const [scale, least] =
    part < 4
      ? [packed(part) & 63, packed(part + 4) & 63]
      : [
          (packed(part + 4) & 15) | ((packed(part - 4) >> 6) << 4),
          (packed(part + 4) >> 4) | ((packed(part) >> 6) << 4),
        ];
  return { scale: half(bytes, at) * scale, least: half(bytes, at + 2) * least };
}

function byte(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0;
}

function signed(bytes: Uint8Array, at: number): number {
  return (byte(bytes, at) << 24) >> 24;
}

function half(bytes: Uint8Array, at: number): number {
  return f16ToNumber(byte(bytes, at) | (byte(bytes, at + 1) << 8));
}
