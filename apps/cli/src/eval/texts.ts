import { WinnowError } from "@winnow/core-tensor";
import { z } from "zod";

import { readText } from "../options/cache";

const line = z.object({ text: z.string().min(1) });

/**
 * Texts of a file of lines, each a JSON object with a `text`.
 *
 * @throws WinnowError `file` naming the file, and the line that is none.
 */
export async function readTexts(file: string, most: number): Promise<readonly string[]> {
  const lines = (await readText(file, "--texts")).split("\n").filter((text) => text.trim() !== "");
  if (lines.length === 0)
    throw new WinnowError("file", `--texts ${file}: it has no texts; expected a JSON object with a "text" a line`);
  return lines.slice(0, most).map((text, i) => {
    const parsed = line.safeParse(parseJson(text));
    if (parsed.success) return parsed.data.text;
    throw new WinnowError("file", `--texts ${file}: line ${i + 1} is not a JSON object with a "text"`);
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
