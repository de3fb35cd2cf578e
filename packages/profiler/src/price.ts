import { runBoolProgram, type SelectProgram } from "@winnow/core-tensor";

import type { Question, Representative, TestPlace } from "./question";

/** What a backend answers to a question. */
export interface MassSummary {
  /** f32 [queryHeads, classCount, buckets, bands.length + 1] */
  readonly sums: Float32Array;
  /** u32 [kvHeads, classCount, buckets] */
  readonly counts: Uint32Array;
}

/** How a KV head's recovery follows from those of its query heads: the paper leaves grouped queries open. */
export type GroupRule = "min" | "mean";

export interface PricingOptions {
  /** Profiled rows: what the sums are divided by. */
  readonly rows: number;
  readonly queryHeads: number;
  readonly kvHeads: number;
  readonly group: GroupRule;
}

/** What a candidate would keep of one KV head. */
export interface CandidatePrice {
  /** The share of attention kept, 0 to 1; null where the policy cannot be priced from a table. */
  readonly recovery: number | null;
  /** Columns left by a cut at the newest row; null likewise. */
  readonly kept: number | null;
}

/**
 * The recovery of every candidate of every KV head (FastGen, arXiv 2310.01801, section 3.1, with the lost mass as its
 * norm): 1 − (1/rows) · Σ over the cells that a candidate drops. Nothing is read but the summary.
 *
 * @returns prices by KV head, then by candidate.
 */
export function price(question: Question, summary: MassSummary, options: PricingOptions): CandidatePrice[][] {
  const perGroup = options.queryHeads / options.kvHeads;
  const cells = question.programs.map((program, number) =>
    droppedCells(question, program, question.tests[number] ?? []),
  );
  return Array.from({ length: options.kvHeads }, (_, head) =>
    cells.map((dropped) => {
      if (dropped === null) return { recovery: null, kept: null };
      const recoveries = Array.from({ length: perGroup }, (_, g) => {
        const lost = lostMass(question, summary, dropped, head * perGroup + g);
        return Math.min(1, Math.max(0, 1 - lost / options.rows));
      });
      const recovery =
        options.group === "min"
          ? Math.min(...recoveries)
          : recoveries.reduce((sum, r) => sum + r, 0) / recoveries.length;
      return { recovery, kept: keptColumns(question, summary, dropped, head) };
    }),
  );
}

/** Which cells a candidate drops: by (class, bucket, band) for the mass, by (class, bucket) for the columns. */
interface Dropped {
  readonly mass: Uint8Array;
  readonly columns: Uint8Array;
}

function droppedCells(
  question: Question,
  program: SelectProgram,
  tests: readonly (TestPlace | null)[],
): Dropped | null {
  if (tests.includes(null)) return null;
  const { buckets, bands, representatives, reading } = question;
  const bandCount = bands.length + 1;
  const mass = new Uint8Array(representatives.length * buckets * bandCount);
  const columns = new Uint8Array(representatives.length * buckets);
  representatives.forEach((column, group) => {
    for (let bucket = 0; bucket < buckets; bucket++) {
      const cell = group * buckets + bucket;
      const keeps = (distance: number): boolean => keepsCell(question, program, tests, column, bucket, distance);
      columns[cell] = keeps(column.distance) ? 0 : 1;
      for (let band = 0; band < bandCount; band++) {
        const distance = reading === "cut" ? column.distance : (bands[band - 1] ?? 0);
        mass[cell * bandCount + band] = keeps(distance) ? 0 : 1;
      }
    }
  });
  return { mass, columns };
}

function keepsCell(
  question: Question,
  program: SelectProgram,
  tests: readonly (TestPlace | null)[],
  column: Representative,
  bucket: number,
  distance: number,
): boolean {
  const rank = (number: number): boolean => {
    const place = tests[number];
    return place !== undefined && place !== null && bucketOn(question, place.scale, bucket) < place.passing;
  };
  return runBoolProgram(program.keep, { flags: column.flags, position: column.position, distance, rank });
}

/** The bucket of one scale within the number of all scales' buckets. */
function bucketOn({ scales }: Question, scale: number, bucket: number): number {
  let rest = bucket;
  for (let s = scales.length - 1; s > scale; s--) rest = Math.floor(rest / ((scales[s]?.edges.length ?? 0) + 1));
  return rest % ((scales[scale]?.edges.length ?? 0) + 1);
}

function lostMass(question: Question, { sums }: MassSummary, { mass }: Dropped, queryHead: number): number {
  const base = queryHead * question.classCount * question.buckets * (question.bands.length + 1);
  let lost = 0;
  for (let cell = 0; cell < mass.length; cell++) if (mass[cell] === 1) lost += sums[base + cell] ?? 0;
  return lost;
}

function keptColumns(question: Question, { counts }: MassSummary, { columns }: Dropped, head: number): number {
  const base = head * question.classCount * question.buckets;
  let kept = 0;
  for (let cell = 0; cell < columns.length; cell++) if (columns[cell] === 0) kept += counts[base + cell] ?? 0;
  return kept;
}
