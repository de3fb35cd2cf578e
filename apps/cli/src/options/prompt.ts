import { text as readStream } from "node:stream/consumers";

import { WinnowError } from "@winnow/core-tensor";
import {
  Chat,
  idsPart,
  textPart,
  withProbe,
  type ChatState,
  type Model,
  type PromptPart,
  type Session,
} from "@winnow/runtime";
import type { Command } from "commander";

import { readText } from "./cache";
import { tokenIds } from "./numbers";

export interface PromptFlags {
  readonly prompt?: string;
  readonly promptFile?: string;
  readonly promptIds?: number[];
  readonly system?: string;
  readonly then?: string;
  readonly raw?: boolean;
  readonly probeIds?: number[];
}

export function withPrompt(command: Command): Command {
  return command
    .option("-p, --prompt <text>", "what to read")
    .option("--prompt-file <file>", "a file to read; - for standard input")
    .option("--prompt-ids <ids>", "token ids to read as they are, such as 0,4,290", tokenIds)
    .option("--system <text>", "a system message before the prompt")
    .option("--then <text>", "read and cut the prompt first, then ask this")
    .option("--raw", "no chat template: the prompt is plain text");
}

/** What is to be read: a turn of a conversation, or parts as they are. */
export type Reading =
  | {
      readonly kind: "chat";
      readonly chat: Chat;
      readonly content: string;
      readonly then: string | undefined;
      /** Ids that are read as the probe, instead of a replay of the message. */
      readonly probe: readonly number[] | undefined;
    }
  | { readonly kind: "parts"; readonly parts: readonly PromptPart[] };

/**
 * @param state of a conversation that goes on.
 * @throws WinnowError `usage` when there is not exactly one prompt, or flags contradict each other.
 */
export async function readingOf(
  flags: PromptFlags,
  model: Model,
  session: Session,
  state?: ChatState,
  signal?: AbortSignal,
): Promise<Reading> {
  const given = [flags.prompt, flags.promptFile, flags.promptIds].filter((flag) => flag !== undefined).length;
  if (given !== 1) {
    throw new WinnowError(
      "usage",
      `${given === 0 ? "no prompt is given" : "several prompts are given"}; give one of --prompt, --prompt-file or --prompt-ids`,
    );
  }
  if (flags.promptIds !== undefined) {
    const { vocabulary } = model.config;
    const bad = [...flags.promptIds, ...(flags.probeIds ?? [])].find((id) => id >= vocabulary);
    if (bad !== undefined)
      throw new WinnowError("usage", `the token id ${bad} is outside the model's vocabulary of ${vocabulary}`);
  }
  const raw = flags.raw === true || flags.promptIds !== undefined || model.template === null;
  if (raw && flags.system !== undefined) {
    throw new WinnowError(
      "usage",
      "--system needs a chat template; leave out --raw and --prompt-ids, or use a model that has one",
    );
  }
  const begun = session.tokens.length > 0;
  if (begun && raw !== (state === undefined)) {
    throw new WinnowError(
      "usage",
      raw
        ? "the session holds a conversation; leave out --raw and --prompt-ids, or give another --session file"
        : "the session was begun without a chat template; add --raw, or give another --session file",
    );
  }
  if (flags.promptIds !== undefined)
    return { kind: "parts", parts: parts(flags, model, idsPart(model.tokenizer, flags.promptIds)) };
  const content = flags.prompt ?? (await fileText(flags.promptFile ?? "-", signal));
  if (content.trim() === "") throw new WinnowError("prompt", "the prompt is empty; give at least one character");
  if (raw)
    return {
      kind: "parts",
      parts: parts(flags, model, textPart(model.tokenizer, content, session.tokens.length === 0)),
    };
  const chat = new Chat(model, session, flags.system, state);
  return { kind: "chat", chat, content, then: flags.then, probe: flags.probeIds };
}

function parts(flags: PromptFlags, model: Model, first: PromptPart): readonly PromptPart[] {
  const all = flags.then === undefined ? [first] : [first, textPart(model.tokenizer, flags.then, false)];
  return flags.probeIds === undefined ? all : withProbe(all, flags.probeIds);
}

async function fileText(file: string, signal?: AbortSignal): Promise<string> {
  if (file !== "-") return readText(file, "--prompt-file");
  // A terminal that nobody types at would wait for ever.
  const stop = (): void => {
    process.stdin.destroy(new WinnowError("aborted", "reading standard input was aborted"));
  };
  signal?.addEventListener("abort", stop);
  try {
    return await readStream(process.stdin);
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}
