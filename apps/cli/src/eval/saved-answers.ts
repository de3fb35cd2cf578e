import { appendFile, readFile } from "node:fs/promises";

import { WinnowError } from "@winnow/core-tensor";
import { z } from "zod";

import type { AnsweredSample } from "./results";

const outcome = z.object({
  score: z.number(),
  kl: z.number(),
  agreement: z.number(),
  slots: z.number(),
  bytes: z.number(),
  fullBytes: z.number(),
  allocatedBytes: z.number(),
  shares: z.array(z.array(z.number())),
});
const line = z.object({
  task: z.string(),
  asked: z.object({ sample: z.int(), question: z.string(), answer: z.string() }),
  outcomes: z.array(outcome),
});

/** Answers in a file of lines, so that a run that was interrupted goes on where it was. Its first line says what was asked for. */
export class SavedAnswers {
  readonly #known = new Map<string, AnsweredSample>();

  private constructor(private readonly path: string) {}

  /**
   * @param settings all that decides the answers.
   * @throws WinnowError `file` when the file is of another run, or none of these.
   */
  static async open(path: string, settings: unknown): Promise<SavedAnswers> {
    const saved = new SavedAnswers(path);
    const head = JSON.stringify(settings);
    const text = await readFile(path, "utf8").catch((error: unknown) => {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
      throw new WinnowError("file", `--save ${path}: it cannot be read; give another file`, { cause: error });
    });
    if (text === null) {
      await saved.#append(head);
      return saved;
    }
    const [first, ...lines] = text.split("\n");
    if (first !== head) {
      throw new WinnowError(
        "file",
        `--save ${path}: it has the answers of a run with other settings; give another file, or remove it`,
      );
    }
    for (const [i, content] of lines.entries()) {
      // The last line may have been cut short when the run was.
      const parsed = content === "" ? null : line.safeParse(parseJson(content));
      if (parsed?.success === true) saved.#known.set(keyOf(parsed.data.task, parsed.data.asked.sample), parsed.data);
      else if (parsed !== null && i < lines.length - 1) {
        throw new WinnowError("file", `--save ${path}: line ${i + 2} is damaged; remove the file to begin anew`);
      }
    }
    return saved;
  }

  get(task: string, sample: number): AnsweredSample | null {
    return this.#known.get(keyOf(task, sample)) ?? null;
  }

  async put(task: string, answered: AnsweredSample): Promise<void> {
    await this.#append(JSON.stringify({ task, ...answered }));
  }

  async #append(text: string): Promise<void> {
    try {
      await appendFile(this.path, `${text}\n`);
    } catch (cause) {
      throw new WinnowError("file", `--save ${this.path}: it cannot be written; free space, or give another file`, {
        cause,
      });
    }
  }
}

const keyOf = (task: string, sample: number): string => `${task} ${sample}`;

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
