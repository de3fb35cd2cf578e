import { createInterface, type Interface } from "node:readline";

import { WinnowError } from "@winnow/core-tensor";
import { formatBytes, formatShare, heatMap } from "@winnow/profiler";
import { Chat, profileReport, type Model, type Session } from "@winnow/runtime";
import { Command } from "commander";
import pc from "picocolors";

import { INTERRUPTED, exitCodeOf, tellFailure } from "../failure";
import { withCache, type CacheFlags } from "../options/cache";
import { openModel, withModel, type ModelFlags } from "../options/model";
import { generateOptions, withSampling, type SamplingFlags } from "../options/sampling";
import { keepSession, openSession } from "../options/session";
import { endInOrder } from "../output/closed-output";
import { terminalColours } from "../output/colours";
import { progressBar } from "../output/progress";

interface ChatFlags extends ModelFlags, CacheFlags, SamplingFlags {
  readonly system?: string;
  readonly session?: string;
}

const HELP = `  /bytes  what the cache holds
  /plan   what each head keeps, and by which policy
  /new    forget the conversation and begin another
  /help   this
  /exit   the end; so does Ctrl-D
Ctrl-C stops an answer.`;

const EXAMPLES = `
Examples:
  winnow chat --model models/demo
  winnow chat --model models/demo --policy fastgen --system "Answer in one word."
  winnow chat --model models/demo --session talk.winnow`;

export function chatCommand(): Command {
  const command = new Command("chat").description("Talk over one cache that each head cuts for itself.");
  withSampling(withCache(withModel(command)));
  return command
    .option("--system <text>", "a system message at the start")
    .option("--session <file>", "go on with the conversation in this file, and save it there")
    .addHelpText("after", EXAMPLES)
    .action(chat);
}

async function chat(flags: ChatFlags): Promise<void> {
  using model = await openModel(flags);
  const { session: opened, state } = await openSession(model, flags, flags.session);
  using session = opened;
  const terminal = process.stdin.isTTY && process.stdout.isTTY;
  const lines = createInterface({
    input: process.stdin,
    output: process.stdout,
    terminal,
    prompt: terminal ? pc.bold("> ") : "",
  });
  if (terminal)
    process.stdout.write(
      `${pc.dim(`${model.dir}, ${session.settings.policy.text}; /help tells what else there is`)}\n`,
    );
  const talk = new Talk(flags, model, session, new Chat(model, session, flags.system, state), lines);
  const interrupted = (): void => {
    if (talk.interrupt()) return;
    process.exitCode = INTERRUPTED;
    lines.close();
  };
  const gone = new AbortController();
  using _ =
    flags.session === undefined
      ? null
      : endInOrder(() => {
          gone.abort();
          talk.interrupt();
          lines.close();
        });
  // At the prompt the line editor reads Ctrl-C as a key; while an answer is written it is a signal.
  lines.on("SIGINT", interrupted);
  process.on("SIGINT", interrupted);
  lines.prompt();
  for await (const line of lines) {
    if (!(await talk.hear(line.trim())) || gone.signal.aborted) break;
    talk.prompt();
  }
  process.off("SIGINT", interrupted);
  lines.close();
  if (terminal) process.stdout.write("\n");
  await keepSession(model, session, talk.conversation.state, flags.session);
}

/** Whether a terminal gives every key to the program; else it makes lines, and signals of Ctrl-C. */
function listenForKeys(raw: boolean): void {
  if (process.stdin.isTTY && process.stdout.isTTY) process.stdin.setRawMode(raw);
}

/** What is said in a conversation, line by line. */
class Talk {
  #answering: AbortController | null = null;
  /** Whether no more lines come: those that have been read may still be there. */
  #closed = false;

  constructor(
    private readonly flags: ChatFlags,
    private readonly model: Model,
    private readonly session: Session,
    public conversation: Chat,
    private readonly lines: Interface,
  ) {
    lines.once("close", () => (this.#closed = true));
  }

  /** Ask for the next line, where one can come. */
  prompt(): void {
    if (!this.#closed) this.lines.prompt();
  }

  /** Stop the answer under way; whether there was one. */
  interrupt(): boolean {
    const answering = this.#answering;
    answering?.abort();
    return answering !== null;
  }

  /** @returns whether to go on. */
  async hear(line: string): Promise<boolean> {
    switch (line) {
      case "":
        return true;
      case "/exit":
      case "/quit":
        return false;
      case "/help":
        process.stdout.write(`${HELP}\n`);
        return true;
      case "/new":
        this.session.forget();
        this.conversation = new Chat(this.model, this.session, this.flags.system);
        return true;
      case "/bytes":
        process.stdout.write(`${this.#status()}\n`);
        return true;
      case "/plan":
        process.stdout.write(
          `${this.session.sequence.heads.length === 0 ? "nothing has been read yet" : heatMap(profileReport(this.model, this.session), { colours: terminalColours() })}\n`,
        );
        return true;
      default:
        if (/^\/\w+$/.test(line)) process.stdout.write(`unknown command ${line}\n${HELP}\n`);
        else await this.#answer(line);
        return true;
    }
  }

  async #answer(line: string): Promise<void> {
    const answering = new AbortController();
    this.#answering = answering;
    const bar = progressBar("reading", false);
    // The line editor would echo what is typed into the answer, and keep Ctrl-C to itself until the next prompt.
    if (!this.#closed) this.lines.pause();
    listenForKeys(false);
    try {
      const generation = this.conversation.ask(line, {
        ...generateOptions(this.flags),
        signal: answering.signal,
        onProgress: bar.update,
        onPromptRead: bar.stop,
      });
      for await (const { text } of generation) process.stdout.write(text);
      const { finishReason } = await generation.report();
      process.stdout.write(finishReason === "abort" ? pc.dim(" … stopped\n") : "\n");
      process.stdout.write(`${pc.dim(this.#status())}\n`);
    } catch (error) {
      if (!(error instanceof WinnowError)) throw error;
      tellFailure(error, false);
      // Nobody at a terminal is told of it otherwise.
      if (!process.stdin.isTTY) process.exitCode = exitCodeOf(error);
      if (error.code === "context") process.stderr.write("/new begins another conversation\n");
    } finally {
      bar.stop();
      this.#answering = null;
      listenForKeys(true);
      // One that is resumed behind its end reads on, and keeps the program alive.
      if (!this.#closed) this.lines.resume();
    }
  }

  #status(): string {
    const { bytes, fullBytes } = this.session.sequence.report();
    const { context } = this.model.config;
    const share = formatShare(fullBytes === 0 ? null : bytes / fullBytes);
    return `[${this.session.tokens.length} of ${context} tokens · KV cache ${formatBytes(bytes)} of ${formatBytes(fullBytes)} (${share})]`;
  }
}
