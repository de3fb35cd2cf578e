import { z } from "zod";

export const ENGINES = ["winnow on cpu", "winnow on webgpu", "llama.cpp"] as const;
export type Engine = (typeof ENGINES)[number];

export function isEngine(name: string): name is Engine {
  return ENGINES.some((engine) => engine === name);
}

/** What loading a model once took. */
export const loadSampleSchema = z.object({
  loadMs: z.number(),
  /** Until the first token was read and the next one chosen, since the process began to load. */
  readyMs: z.number(),
  peakBytes: z.number(),
  /** Of them, what the process had before. */
  startBytes: z.number(),
  /** Bytes of weights on the device; null where there is none. A device in software has them in the process. */
  deviceBytes: z.number().nullable(),
});
export type LoadSample = z.output<typeof loadSampleSchema>;
