import { WinnowError } from "@winnow/core-tensor";
import { z } from "zod";

const FORMAT = "winnow-head-plan";

const fingerprintSchema = z.strictObject({
  layers: z.int().positive(),
  queryHeads: z.int().positive(),
  kvHeads: z.int().positive(),
  headDim: z.int().positive(),
  vocabularySize: z.int().positive(),
  /** A hash of the vocabulary and its merges. */
  tokenizer: z.string(),
});

/** The shape and the vocabulary that a plan was made for. */
export type ModelFingerprint = z.infer<typeof fingerprintSchema>;

const planSchema = z.strictObject({
  format: z.literal(FORMAT),
  version: z.literal(1),
  model: fingerprintSchema,
  /** The policy that the plan came from, as it was asked for. */
  policy: z.string(),
  /** T; null where nothing was searched. */
  recovery: z.number().min(0).max(1).nullable(),
  rows: z.enum(["prompt", "late", "probe"]),
  /** Whether later tokens fall under the policies too, or are all kept. */
  generated: z.enum(["sweep", "keep"]),
  /** Canonical text of each head's policy, by layer and KV head. */
  heads: z.array(z.array(z.string())),
  /** What was measured when the plan was made. */
  measured: z.array(z.array(z.number().nullable())).optional(),
});

/** Each head's policy, made once and applied to any prompt without profiling it. */
export type HeadPlan = z.infer<typeof planSchema>;

/** A plan as the text of a file. */
export function formatPlan(plan: Omit<HeadPlan, "format" | "version">): string {
  return `${JSON.stringify({ format: FORMAT, version: 1, ...plan }, null, 1)}\n`;
}

/**
 * Read a plan.
 *
 * @param what names the plan in messages, such as its file.
 * @throws WinnowError `plan` naming the field, what was found and what was expected.
 */
export function parsePlan(text: string, what = "the plan"): HeadPlan {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new WinnowError("plan", `${what} is not JSON; expected a document that "winnow profile --plan" wrote`, {
      cause,
    });
  }
  const parsed = planSchema.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const field = issue === undefined || issue.path.length === 0 ? "the document" : issue.path.join(".");
    throw new WinnowError(
      "plan",
      `${what}: ${field}: ${issue?.message ?? "malformed"}; make the plan anew with "winnow profile --plan"`,
    );
  }
  return parsed.data;
}

/**
 * Check that a plan was made for a model.
 *
 * @throws WinnowError `plan` naming the first field that differs.
 */
export function checkPlan(plan: HeadPlan, model: ModelFingerprint, what = "the plan"): void {
  const fields: (keyof ModelFingerprint)[] = [
    "layers",
    "queryHeads",
    "kvHeads",
    "headDim",
    "vocabularySize",
    "tokenizer",
  ];
  const differs = fields.find((field) => plan.model[field] !== model[field]);
  if (differs !== undefined) {
    throw new WinnowError(
      "plan",
      `${what} was made for another model: its ${differs} is ${plan.model[differs]}, and this model's is ${model[differs]}; make a plan for this model with "winnow profile --plan"`,
    );
  }
  const layer = plan.heads.findIndex((heads) => heads.length !== model.kvHeads);
  if (plan.heads.length !== model.layers || layer >= 0) {
    throw new WinnowError(
      "plan",
      `${what} has policies for ${plan.heads.length} layers of ${plan.heads[Math.max(0, layer)]?.length ?? 0} KV heads, expected ${model.layers} of ${model.kvHeads}`,
    );
  }
}
