import "./disposal";

import { WinnowError, type Backend } from "@winnow/core-tensor";
import { GpuError } from "@winnow/gpu-backend";
import { fetchedFiles, loadModel, openBackend, type GenerationReport, type Model } from "@winnow/runtime";

import { Assistant, type Subject } from "./assistant";
import { CacheView } from "./cache-view";
import { DOCUMENT, QUESTIONS } from "./document";
import { byId } from "./element";
import { Log } from "./log";

/** Beside the page, where vite.config.ts puts it. */
const MODEL_URL = new URL("demo", document.baseURI).href;

const status = byId("status", HTMLParagraphElement);
const policy = byId("policy", HTMLSelectElement);
const text = byId("document", HTMLTextAreaElement);
const question = byId("question", HTMLInputElement);
const button = byId("ask", HTMLButtonElement);
const log = new Log();
const cache = new CacheView();

function say(line: string): void {
  status.classList.remove("failed");
  status.textContent = line;
}

function fail(error: unknown): void {
  status.classList.add("failed");
  status.textContent =
    error instanceof WinnowError
      ? sentence(error.message)
      : `Something unexpected happened: ${String(error)}. Reload the page.`;
  if (!(error instanceof WinnowError)) console.error(error);
}

/** Where there is no adapter the page says why, what to do about it, and that the CPU computes until then. */
function explainNoWebGpu(error: GpuError): void {
  byId("no-webgpu-reason", HTMLParagraphElement).textContent = sentence(error.message);
  byId("no-webgpu-threads", HTMLElement).textContent = crossOriginIsolated
    ? `${navigator.hardwareConcurrency} threads`
    : "one thread, for the page is not cross-origin isolated";
  byId("no-webgpu", HTMLElement).hidden = false;
}

async function openDevice(): Promise<Backend> {
  try {
    return await openBackend("webgpu", {
      onNote: (line) => {
        log.tell(sentence(line));
      },
    });
  } catch (error) {
    if (!(error instanceof GpuError) || error.failure !== "no-adapter") throw error;
    explainNoWebGpu(error);
    return await openBackend("cpu");
  }
}

async function load(): Promise<Model | null> {
  try {
    return await loadModel(fetchedFiles(MODEL_URL), {
      backend: await openDevice(),
      onProgress: (done, total) => {
        say(`Loading the model: ${percent(done / total)}`);
      },
    });
  } catch (error) {
    fail(error);
    return null;
  }
}

async function answer(assistant: Assistant, asked: string): Promise<void> {
  const subject: Subject = { policy: policy.value, document: text.value };
  if (!assistant.knows(subject)) log.tell(`The document is read, and its cache cut by ${subject.policy}.`);
  log.asked(asked);
  const write = log.answer();
  button.disabled = true;
  log.busy = true;
  try {
    const report = await assistant.ask(subject, asked, {
      onReading: (share) => {
        say(`Reading: ${percent(share)}`);
      },
      onCache: (profile) => {
        cache.show(profile);
      },
      onText: write,
    });
    say(summary(report));
  } catch (error) {
    fail(error);
  } finally {
    log.busy = false;
    button.disabled = false;
  }
}

function summary({ promptTokens, tokens, timings }: GenerationReport): string {
  const speed = timings.tokensPerSecond === null ? "" : `, ${timings.tokensPerSecond.toFixed(0)} tokens/s`;
  return `Read ${promptTokens} tokens in ${(timings.promptMs / 1000).toFixed(1)} s, wrote ${tokens.length}${speed}.`;
}

function sentence(line: string): string {
  return `${line.charAt(0).toUpperCase()}${line.slice(1)}.`;
}

function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}

function suggest(): void {
  for (const suggestion of QUESTIONS) {
    const chip = document.createElement("button");
    chip.type = "button";
    chip.textContent = suggestion;
    chip.addEventListener("click", () => {
      question.value = suggestion;
      question.focus();
    });
    byId("suggestions", HTMLDivElement).append(chip);
  }
}

text.value = DOCUMENT;
question.value = QUESTIONS[0] ?? "";
suggest();
const model = await load();
if (model !== null) {
  const assistant = new Assistant(model);
  byId("form", HTMLFormElement).addEventListener("submit", (event) => {
    event.preventDefault();
    const asked = question.value.trim();
    // Return in the field submits although the button is disabled in some browsers.
    if (asked === "" || button.disabled) return;
    question.value = "";
    void answer(assistant, asked);
  });
  button.disabled = false;
  say("Ready.");
}
