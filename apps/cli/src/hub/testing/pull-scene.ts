import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { WinnowError } from "@winnow/core-tensor";
import { afterEach, beforeEach, expect } from "vitest";

import { parseModelName } from "../model-name";
import type { Patience } from "../patience";
import { pull, type PulledModel } from "../pull";
import { LoopbackHub, type Fault, type HubRequest } from "./loopback-hub";

export const QUICK: Patience = { stallMs: 10_000, attempts: 3, backoffMs: 1, longestWaitMs: 50 };

/** Bytes of a file that no two files share. */
export function bytes(length: number, seed = 1): Buffer {
  const all = Buffer.alloc(length);
  for (let i = 0, x = seed; i < length; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    all[i] = x >>> 24;
  }
  return all;
}

export const CONFIG = '{"architectures":["LlamaForCausalLM"]}\n';
export const WEIGHTS = bytes(200_000);
export const FOLDER = { "config.json": CONFIG, "tokenizer.json": "{}", "model.safetensors": WEIGHTS };

interface Settings {
  readonly patience?: Patience;
  readonly token?: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

/** A hub on loopback and an empty cache folder for each test of a file. */
export class PullScene {
  #hub: LoopbackHub | null = null;
  root = "";
  notes: string[] = [];

  constructor() {
    beforeEach(async () => {
      this.#hub = await LoopbackHub.start();
      this.root = mkdtempSync(join(tmpdir(), "winnow-hub-"));
      this.notes = [];
    });
    afterEach(async () => {
      await this.hub[Symbol.asyncDispose]();
      rmSync(this.root, { recursive: true, force: true });
    });
  }

  get hub(): LoopbackHub {
    if (this.#hub === null) throw new Error("the hub exists while tests run, and not before");
    return this.#hub;
  }

  get(text: string, { patience = QUICK, token, signal, onProgress }: Settings = {}): Promise<PulledModel> {
    const name = parseModelName(text);
    if (name === null) throw new Error(text);
    return pull(name, {
      endpoint: { url: this.hub.url, origin: this.hub.url, token: token ?? null },
      root: this.root,
      patience,
      signal: signal ?? new AbortController().signal,
      onNote: (line) => this.notes.push(line),
      ...(onProgress === undefined ? {} : { onProgress }),
    });
  }

  /** How it failed, which must be one line that a program can print. */
  async failure(text: string, settings?: Settings): Promise<string> {
    const error: unknown = await this.get(text, settings).catch((cause: unknown) => cause);
    if (!(error instanceof WinnowError)) throw new Error("it did not fail as it should", { cause: error });
    expect(error.code).toBe("file");
    expect(error.message).toMatch(/^[^\n]+$/);
    return error.message;
  }

  /** One fault after the other for the bytes of a file, then right answers. */
  faulty(detail: string, ...faults: readonly (Fault | null)[]): void {
    let i = 0;
    this.hub.fault = (request) => (request.detail === detail && bytesOf(request) ? (faults[i++] ?? null) : null);
  }

  /** From where the bytes of a file were asked for, request by request. */
  asked(detail: string): number[] {
    return this.hub.requests.filter((request) => request.detail === detail && bytesOf(request)).map(({ from }) => from);
  }
}

/** Whether a request is for bytes, and not answered by a redirect. */
function bytesOf({ what, detail }: HubRequest): boolean {
  return what === "storage" || (what === "file" && !/\.(?:safetensors|gguf)$/.test(detail));
}
