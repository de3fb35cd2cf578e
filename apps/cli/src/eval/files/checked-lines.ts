import { WinnowError } from "@winnow/core-tensor";
import type { z } from "zod";

/** @throws WinnowError `file` naming the first line that a schema refuses, and why. */
export function checkedLines<T>(values: readonly unknown[], schema: z.ZodType<T>, file: string): readonly T[] {
  return values.map((value, i) => {
    const found = schema.safeParse(value);
    if (found.success) return found.data;
    const [issue] = found.error.issues;
    throw new WinnowError(
      "file",
      `--file ${file}: line ${i + 1}: ${issue?.path.join(".") ?? ""}: ${issue?.message ?? "malformed"}`,
    );
  });
}
