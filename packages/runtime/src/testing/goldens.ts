import { readFileSync } from "node:fs";

import { z } from "zod";

import { goldenFile } from "./models";

const perHead = <T extends z.ZodType>(cell: T) => z.array(z.array(cell));

const goldenSchema = z.object({
  ids: z.array(z.int()),
  recovery: z.number(),
  logits: z.array(z.number()),
  largest_logit: z.number(),
  recovery_by_candidate: perHead(z.array(z.number())),
  plan: perHead(z.int()),
  kept: perHead(z.int()),
  frequent_gap: perHead(z.number()),
  greedy: z.array(z.int()),
  greedy_gap: z.array(z.number()),
  compressed: z.array(z.int()),
  compressed_gap: z.array(z.number()),
  compressed_frequent_gap: z.array(z.number()),
});

const probedSchema = z.object({
  probe: z.array(z.int()),
  ladder_recovery: perHead(z.array(z.number())),
  ladder_rung: perHead(z.int()),
  ladder_kept: perHead(z.int()),
  ladder_gap: perHead(z.number()),
  ladder_gaps: perHead(z.array(z.number())),
  adaptive: z.array(z.int()),
  adaptive_gap: z.array(z.number()),
});

/** What the oracle found for one prompt; its fields are explained in `tools/goldens/oracle.py`. */
export type Golden = z.infer<typeof goldenSchema> & { readonly probed: z.infer<typeof probedSchema> | null };

export function readGoldens(name: "demo" | "tiny"): Golden[] {
  const lines = readFileSync(goldenFile(name), "utf8").trim().split("\n");
  return lines.map((line) => {
    const json: unknown = JSON.parse(line);
    return { ...goldenSchema.parse(json), probed: probedSchema.safeParse(json).data ?? null };
  });
}

/** The first step at which a choice could go either way: tokens are compared before it. */
export function firstTossUp(...gaps: readonly (readonly number[])[]): number {
  const found = gaps.map((gap) => gap.findIndex((lead) => lead < TOLERANCE.gap)).filter((at) => at >= 0);
  return Math.min(Infinity, ...found);
}

/** How far arithmetic in f32 may be from the oracle's in float64. */
export const TOLERANCE = {
  /** Of the largest logit. */
  logits: 1e-3,
  recovery: 1e-4,
  /** Relative leads below this are a coin toss. */
  gap: 1e-4,
} as const;
