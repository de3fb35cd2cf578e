import { appendFile, readFile, truncate } from "node:fs/promises";

import { WinnowError } from "@winnow/core-tensor";
import { z } from "zod";

import type { Outcome } from "./every-cell";
import type { Asked } from "./results";

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
  outcomes: z.record(z.string(), outcome),
});

/** What is known of a sample. */
interface Known {
  readonly asked: Asked;
  /** By the cells' ids. */
  readonly outcomes: ReadonlyMap<string, Outcome>;
}

/**
 * Answers in a file of lines, so that a run that was interrupted goes on where it was, and another with more samples, tasks or
 * policies asks only what is new. Its first line says what all of them share.
 */
export class SavedAnswers {
  readonly #known = new Map<string, Known>();

  private constructor(private readonly path: string) {}

  /**
   * @param settings what decides the answers besides task, sample and cell.
   * @throws WinnowError `file` when the file is of another run, or none of these.
   */
  static async open(path: string, settings: unknown): Promise<SavedAnswers> {
    const saved = new SavedAnswers(path);
    const head = JSON.stringify(settings);
    const text = await saved.#wholeLines();
    if (text === "") {
      await saved.#append(head);
      return saved;
    }
    const [first, ...lines] = text.trimEnd().split("\n");
    if (first !== head) {
      throw new WinnowError(
        "file",
        `--save ${path}: it has the answers of a run with other settings; give another file, or remove it`,
      );
    }
    for (const [i, content] of lines.entries()) {
      const parsed = line.safeParse(parseJson(content));
      if (!parsed.success) {
        throw new WinnowError("file", `--save ${path}: line ${i + 2} is damaged; remove the file to begin anew`);
      }
      saved.#remember(parsed.data.task, parsed.data.asked, Object.entries(parsed.data.outcomes));
    }
    return saved;
  }

  /** @param task its key. */
  get(task: string, sample: number): Known | null {
    return this.#known.get(keyOf(task, sample)) ?? null;
  }

  /** @param outcomes what is new, by the cells' ids. */
  async put(task: string, asked: Asked, outcomes: readonly (readonly [string, Outcome])[]): Promise<void> {
    await this.#append(JSON.stringify({ task, asked, outcomes: Object.fromEntries(outcomes) }));
    this.#remember(task, asked, outcomes);
  }

  #remember(task: string, asked: Asked, outcomes: readonly (readonly [string, Outcome])[]): void {
    const key = keyOf(task, asked.sample);
    const before = this.#known.get(key)?.outcomes ?? [];
    this.#known.set(key, { asked, outcomes: new Map([...before, ...outcomes]) });
  }

  /**
   * The file's text up to the end of its last whole line. A line that was cut short when a run was is cut off, for what comes
   * next to begin a line of its own.
   */
  async #wholeLines(): Promise<string> {
    try {
      const text = await readFile(this.path, "utf8");
      const whole = text.slice(0, text.lastIndexOf("\n") + 1);
      // Without a single whole line it is none of ours, and stays as it is.
      if (whole === "" || whole === text) return text;
      await truncate(this.path, Buffer.byteLength(whole));
      return whole;
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return "";
      throw new WinnowError("file", `--save ${this.path}: it cannot be read; give another file`, { cause: error });
    }
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
