import type { Generation, GenerateOptions, Session } from "@winnow/runtime";
import { Command } from "commander";
import pc from "picocolors";

import { INTERRUPTED } from "../failure";
import { abortOnInterrupt } from "../interrupt";
import { withCache, type CacheFlags } from "../options/cache";
import { openModel, withModel, type ModelFlags } from "../options/model";
import { whole } from "../options/numbers";
import { readingOf, withPrompt, type PromptFlags, type Reading } from "../options/prompt";
import { generateOptions, withSampling, type SamplingFlags } from "../options/sampling";
import { keepSession, openSession } from "../options/session";
import { endInOrder } from "../output/closed-output";
import { KernelTrace } from "../output/kernel-trace";
import { progressBar } from "../output/progress";
import { printJson, runResult, summaryLine } from "../output/result";

interface RunFlags extends ModelFlags, PromptFlags, CacheFlags, SamplingFlags {
  readonly session?: string;
  readonly logits?: number;
  readonly trace?: string;
}

const EXAMPLES = `
Examples:
  winnow run --model models/demo --prompt "Tom is 31 years old." --then "How old is Tom?"
  winnow run --model models/demo --prompt-file book.txt --then "Who is Leo?" --policy fastgen --recovery 0.98
  winnow run --model models/demo --raw --prompt "Once upon a time" --max-tokens 50 --temperature 0.8 --seed 7
  winnow run --model models/demo --prompt "Hello" --policy "sink(4) | recent(30%)" --json
  winnow run --model models/demo --prompt "Hello" --backend webgpu --trace trace.json`;

export function runCommand(): Command {
  const command = new Command("run").description("Read a prompt, cut its cache head by head, and write an answer.");
  withSampling(withCache(withPrompt(withModel(command))));
  return command
    .option("--session <file>", "go on with the session in this file, and save it there")
    .option("--logits <n>", "with --json: the first n logits of the prompt's last row", whole(1))
    .option("--trace <file>", "take the GPU's time for each kernel: a Chrome trace, and a table on stderr")
    .option("--json", "print one JSON object and nothing else")
    .addHelpText("after", EXAMPLES)
    .action(run);
}

async function run(flags: RunFlags): Promise<void> {
  const json = flags.json === true;
  const { signal: interrupt, stop } = abortOnInterrupt();
  const closed = new AbortController();
  const signal = AbortSignal.any([interrupt, closed.signal]);
  const trace = flags.trace === undefined ? null : new KernelTrace(flags.trace);
  using model = await openModel(flags, signal, (backend) => trace?.attach(backend));
  const { session: opened, state } = await openSession(model, flags, flags.session);
  using session = opened;
  const reading = await readingOf(flags, model, session, state, signal);
  // From here on there is something to save, whether or not the answer is read to its end.
  using _ =
    flags.session === undefined && trace === null
      ? null
      : endInOrder(() => {
          closed.abort();
        });
  const bar = progressBar("reading", json);
  let logits: number[] | null = null;
  const options: GenerateOptions = {
    ...generateOptions(flags),
    signal,
    onProgress: bar.update,
    onPromptRead: async () => {
      bar.stop();
      if (flags.logits !== undefined) {
        const count = Math.min(flags.logits, model.config.vocabulary);
        logits = [...(await model.engine.backend.download(session.sequence.logits, 0, count))];
      }
    },
  };
  trace?.start();
  const generation = start(reading, session, options);
  try {
    for await (const { text } of generation) if (!json) process.stdout.write(text);
  } catch (error) {
    // What led to it is worth a look; should the device be lost, there is nothing to look at.
    await trace?.end().catch(() => undefined);
    throw error;
  }
  const report = await generation.report();
  const times = (await trace?.end()) ?? null;
  bar.stop();
  stop();
  if (json) printJson(runResult(model, report, logits, times));
  else {
    process.stdout.write("\n");
    if (times !== null) process.stderr.write(`${times.table()}\n`);
    process.stderr.write(`${pc.dim(summaryLine(report))}\n`);
  }
  await keepSession(model, session, reading.kind === "chat" ? reading.chat.state : null, flags.session);
  if (report.finishReason === "abort" && !closed.signal.aborted) process.exitCode = INTERRUPTED;
}

function start(reading: Reading, session: Session, options: GenerateOptions): Generation {
  if (reading.kind === "parts") return session.generate(reading.parts, options);
  return reading.chat.ask(reading.content, { ...options, then: reading.then, probe: reading.probe });
}
