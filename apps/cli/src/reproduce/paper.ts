/** A length of prompt and answer, and how many sequences at once. */
export interface LatencySetting {
  readonly prompt: number;
  readonly generated: number;
  readonly batch: number;
}

/** Shares of the KV cache that were pruned, and win rates against the full cache: 0.5 where nothing was lost. */
export interface PaperQuality {
  readonly pruned: number;
  readonly win: number;
}

/** Table 1: Llama 1 fine-tuned, by size and threshold T. */
export const TABLE_1: readonly (PaperQuality & { readonly model: string; readonly recovery: number })[] = [
  { model: "7B", recovery: 0.91, pruned: 0.566, win: 0.308 },
  { model: "7B", recovery: 0.95, pruned: 0.398, win: 0.377 },
  { model: "7B", recovery: 0.98, pruned: 0.169, win: 0.474 },
  { model: "13B", recovery: 0.91, pruned: 0.534, win: 0.32 },
  { model: "13B", recovery: 0.95, pruned: 0.39, win: 0.399 },
  { model: "13B", recovery: 0.98, pruned: 0.183, win: 0.487 },
  { model: "30B", recovery: 0.93, pruned: 0.567, win: 0.37 },
  { model: "30B", recovery: 0.95, pruned: 0.488, win: 0.425 },
  { model: "30B", recovery: 0.98, pruned: 0.274, win: 0.475 },
  { model: "65B", recovery: 0.93, pruned: 0.563, win: 0.409 },
  { model: "65B", recovery: 0.95, pruned: 0.449, win: 0.442 },
  { model: "65B", recovery: 0.98, pruned: 0.36, win: 0.498 },
];

/** Seconds on a V100, Llama 1 7B; null where the memory did not suffice. */
export interface PaperLatency extends LatencySetting {
  readonly huggingFace: number | null;
  readonly deepSpeed: number | null;
  readonly fastgen: number | null;
}

/** Table 2. */
export const TABLE_2: readonly PaperLatency[] = [
  { prompt: 32, generated: 512, batch: 1, huggingFace: 13.35, deepSpeed: 11.58, fastgen: 11.21 },
  { prompt: 32, generated: 2048, batch: 1, huggingFace: 57.37, deepSpeed: 47.12, fastgen: 44.6 },
  { prompt: 32, generated: 8192, batch: 1, huggingFace: 299, deepSpeed: 201.23, fastgen: 179.43 },
  { prompt: 32, generated: 16384, batch: 1, huggingFace: 799.14, deepSpeed: 435.74, fastgen: 359.83 },
  { prompt: 4096, generated: 4096, batch: 2, huggingFace: 167.64, deepSpeed: 91.04, fastgen: 76.93 },
  { prompt: 4096, generated: 4096, batch: 8, huggingFace: null, deepSpeed: 127.94, fastgen: 82.16 },
  { prompt: 512, generated: 512, batch: 16, huggingFace: null, deepSpeed: null, fastgen: null },
];

/** Table 3: profiling's share of the whole time, 65B, by tokens generated; the profile itself took 0.11 s. */
export const TABLE_3: readonly { readonly generated: number; readonly share: number }[] = [
  { generated: 128, share: 0.0035 },
  { generated: 256, share: 0.0021 },
  { generated: 512, share: 0.0012 },
  { generated: 1024, share: 0.0007 },
];

/** Tables 4 and 5: 65B at T = 98 %, by what became of the chain of candidates. */
export const TABLES_4_AND_5: Readonly<Record<string, PaperQuality>> = {
  fastgen: { pruned: 0.3604, win: 0.4975 },
  "without-special": { pruned: 0.3116, win: 0.4764 },
  "without-punctuation": { pruned: 0.3423, win: 0.4956 },
  "without-recent": { pruned: 0.3018, win: 0.4906 },
  "without-frequent": { pruned: 0.2126, win: 0.4608 },
  "punctuation-last": { pruned: 0.364, win: 0.4764 },
};

/** Figure 4: tokens after which attention was looked at; the first is the prompt by itself. */
export const STEPS = [0, 10, 20, 30] as const;

/** Figure 6: shares of heavy hitters and of the window, each with the other at 0.3; all won over 45 %. */
export const RATIOS = [0.1, 0.2, 0.3, 0.4] as const;
