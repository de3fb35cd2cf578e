import { numberToF16, randomWord } from "@winnow/core-tensor";

/** By type: elements and bytes of a block, and where it has scales in halves, with numbers that make weights of about 0.04. */
const LAYOUTS = {
  Q4_0: { elements: 32, bytes: 18, halves: [[0, 0.009]] },
  Q4_1: {
    elements: 32,
    bytes: 20,
    halves: [
      [0, 0.009],
      [2, -0.0675],
    ],
  },
  Q5_0: { elements: 32, bytes: 22, halves: [[0, 0.0045]] },
  Q5_1: {
    elements: 32,
    bytes: 24,
    halves: [
      [0, 0.0045],
      [2, -0.07],
    ],
  },
  Q8_0: { elements: 32, bytes: 34, halves: [[0, 0.0006]] },
  Q4_K: {
    elements: 256,
    bytes: 144,
    halves: [
      [0, 0.00015],
      [2, 0.0011],
    ],
  },
  Q5_K: {
    elements: 256,
    bytes: 176,
    halves: [
      [0, 0.00007],
      [2, 0.0011],
    ],
  },
  Q6_K: { elements: 256, bytes: 210, halves: [[208, 0.00003]] },
} as const;

export type BlockType = keyof typeof LAYOUTS;

export const BLOCK_TYPES = Object.keys(LAYOUTS) as readonly BlockType[];

/** Blocks of random bits, and so of every number that a block can hold, with scales of a sensible size. */
export function randomBlocks(type: BlockType, elements: number, seed: number): Uint8Array {
  const layout = LAYOUTS[type];
  const blocks = elements / layout.elements;
  const words = Uint32Array.from({ length: Math.ceil((blocks * layout.bytes) / 4) }, (_, i) => randomWord(seed, i, 0));
  const bytes = new Uint8Array(words.buffer, 0, blocks * layout.bytes);
  const view = new DataView(bytes.buffer, 0, bytes.length);
  for (let block = 0; block < blocks; block++) {
    for (const [at, value] of layout.halves) {
      const spread = 0.5 + randomWord(seed, block, 1 + at) / 2 ** 32;
      view.setUint16(block * layout.bytes + at, numberToF16(value * spread), true);
    }
  }
  return bytes;
}
