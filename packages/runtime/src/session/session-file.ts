import { open, readFile, rename, rm, stat } from "node:fs/promises";

import { STORED_COLUMNS, WinnowError, type StoredColumn } from "@winnow/core-tensor";
import { parsePolicy } from "@winnow/kv-policies";
import { z } from "zod";

import type { Fitted } from "../cache/byte-target";
import { copyHead, pasteHead, type HeadCopy } from "../cache/head-copy";
import { Sequence } from "../cache/sequence";
import { systemError } from "../files/system-error";
import type { Model } from "../model";
import { resolveSession } from "./resolve-policy";
import { Session } from "./session";
import type { SessionOptions } from "./session-options";

const MAGIC = "WINNOW-SESSION-1\n";

const headSchema = z.strictObject({
  policy: z.string(),
  candidate: z.int().nonnegative(),
  recovery: z.number().nullable(),
  delays: z.int().nonnegative().default(0),
  kept: z.int().nonnegative(),
  slots: z.int().nonnegative(),
  columns: z.array(z.enum(STORED_COLUMNS)),
});

const headerSchema = z.strictObject({
  model: z.strictObject({
    layers: z.int(),
    queryHeads: z.int(),
    kvHeads: z.int(),
    headDim: z.int(),
    vocabularySize: z.int(),
    tokenizer: z.string(),
  }),
  kind: z.enum(["search", "greatest", "strategy", "plan"]),
  policy: z.string(),
  recovery: z.number().nullable(),
  /** The share of the full cache that was asked for, and the T or the budget that met it. */
  target: z.number().positive().max(1).nullable().default(null),
  fitted: z
    .discriminatedUnion("kind", [
      z.strictObject({ kind: z.literal("recovery"), recovery: z.number().min(0).max(1) }),
      z.strictObject({ kind: z.literal("weight"), weight: z.number().nonnegative() }),
      z.strictObject({ kind: z.literal("budget"), budget: z.number().positive().max(1) }),
    ])
    .nullable()
    .default(null),
  rows: z.enum(["prompt", "late", "probe"]),
  generated: z.enum(["sweep", "keep"]),
  group: z.enum(["min", "mean"]),
  /** What drift has come to; null where it is ignored. */
  drift: z.strictObject({ delayed: z.int().nonnegative(), upgraded: z.int().nonnegative() }).nullable().default(null),
  memory: z.enum(["keep", "exact"]),
  interval: z.int().positive(),
  promptTokens: z.int().nonnegative(),
  /** Tokens that the cache has read; the rest were drawn and wait. */
  read: z.int().nonnegative(),
  tokens: z.array(z.int().nonnegative()),
  /** What a program keeps with the session, such as a conversation's messages. */
  extra: z.unknown(),
  heads: z.array(z.array(headSchema)),
});

type Header = z.infer<typeof headerSchema>;

/**
 * Save a session: its tokens, each head's policy and kept slots. The file holds the keys and
 * values that the cache keeps, in f32 whatever the cache's type.
 *
 * @param extra JSON that is handed back by {@link restoreSession}.
 * @throws WinnowError `file` when it cannot be written; what was there before is then left alone.
 */
export async function saveSession(session: Session, model: Model, path: string, extra: unknown = null): Promise<void> {
  await session.wake();
  const { sequence, settings } = session;
  const { backend, store } = model.engine;
  const { policy } = settings;
  const header: Header = {
    model: model.fingerprint,
    kind: policy.decision.kind,
    policy: policy.text,
    // What a target or a weight decides is none of the options.
    recovery: policy.target === null && policy.decision.kind !== "greatest" ? settings.recovery : null,
    target: policy.target?.share ?? null,
    fitted: fittedOf(sequence.fitted),
    rows: policy.rows,
    generated: policy.generated,
    group: policy.group,
    drift: sequence.drift,
    memory: settings.memory,
    interval: settings.interval,
    promptTokens: sequence.promptTokens,
    read: session.stale ? 0 : sequence.tokens.length,
    tokens: [...session.tokens],
    extra,
    heads: session.stale
      ? []
      : sequence.heads.map((layer, l) =>
          layer.map(({ policy: own, candidate, recovery, delays, kept }, head) => ({
            policy: own.text,
            candidate,
            recovery,
            delays,
            kept,
            slots: sequence.layers[l]?.lengths[head] ?? 0,
            columns: [...(sequence.layers[l]?.columnsOf(head) ?? [])],
          })),
        ),
  };
  const text = new TextEncoder().encode(JSON.stringify(header));
  const length = new Uint8Array(new Uint32Array([text.length]).buffer);
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    const file = await open(temporary, "w");
    try {
      await file.write(new TextEncoder().encode(MAGIC));
      await file.write(length);
      await file.write(text);
      for (const [l, heads] of header.heads.entries()) {
        for (const head of heads.keys()) {
          const layer = sequence.layers[l];
          if (layer === undefined) continue;
          const copy = await copyHead(backend, layer, head, store.layout);
          const parts = [copy.keys, copy.values, ...layer.columnsOf(head).map((column) => copy.columns[column])];
          for (const part of parts) if (part !== undefined) await file.write(bytesOf(part));
        }
      }
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error instanceof WinnowError ? error : systemError(path, error);
  }
}

/** A session that goes on where it was saved, and what was saved with it. */
export interface RestoredSession {
  readonly session: Session;
  readonly extra: unknown;
}

/**
 * Restore a session that {@link saveSession} wrote. It goes on with the policy that it was saved with. Whether tokens are
 * guessed makes no difference to it, and is asked for anew.
 *
 * @throws WinnowError `file` when the file is damaged, `plan` when it belongs to another model.
 */
export async function restoreSession(
  model: Model,
  path: string,
  options: Pick<SessionOptions, "registry" | "speculate"> = {},
): Promise<RestoredSession> {
  const { header, data } = await readSession(path);
  expectSameModel(header, model, path);
  const settings = settingsOf(header, model, options);
  const sequence = new Sequence(model.engine, settings.policy);
  try {
    fill(sequence, header, data, model, path, options);
  } catch (error) {
    sequence[Symbol.dispose]();
    throw error;
  }
  const session = new Session(model, settings);
  session.restore(sequence, header.tokens);
  return { session, extra: header.extra };
}

function settingsOf(
  header: Header,
  model: Model,
  { registry, speculate }: Pick<SessionOptions, "registry" | "speculate">,
): ConstructorParameters<typeof Session>[1] {
  const { interval, group, memory, rows } = header;
  const drift = header.drift === null ? "ignore" : "upgrade";
  const shared = { interval, group, memory, drift, registry, speculate } as const;
  if (header.kind === "plan") {
    const heads = header.heads.map((layer) => layer.map(({ policy }) => policy));
    const { model: fingerprint, generated, policy, recovery } = header;
    return resolveSession(
      {
        ...shared,
        plan: { format: "winnow-head-plan", version: 1, model: fingerprint, policy, recovery, rows, generated, heads },
      },
      model,
    );
  }
  const { policy, recovery, target } = header;
  return resolveSession(
    { ...shared, policy, rows, recovery: recovery ?? undefined, target: target ?? undefined },
    model,
  );
}

function fill(
  sequence: Sequence,
  header: Header,
  data: Float32Array,
  model: Model,
  path: string,
  options: Pick<SessionOptions, "registry">,
): void {
  const { backend, store } = model.engine;
  const { headDim } = store.layout.heads;
  let at = 0;
  const take = (count: number): Float32Array => {
    if (at + count > data.length) throw damaged(path, "it ends before its slots do");
    at += count;
    return data.subarray(at - count, at);
  };
  sequence.push(header.tokens.slice(0, header.read));
  sequence.promptTokens = header.promptTokens;
  sequence.fitted = refit(header.fitted, sequence);
  sequence.drift = header.drift;
  sequence.heads = header.heads.map((layer) =>
    layer.map(({ policy, candidate, recovery, delays, kept }) => ({
      policy: parsePolicy(policy, options.registry),
      candidate,
      recovery,
      delays,
      kept,
      measured: [],
      attention: null,
    })),
  );
  sequence.reserveTokenSets(sequence.heads.flat().map(({ policy }) => policy));
  header.heads.forEach((heads, l) => {
    const layer = sequence.layers[l];
    if (layer === undefined) return;
    heads.forEach(({ slots, columns: stored }, head) => {
      if (slots > header.read)
        throw damaged(path, `layer ${l}, head ${head} has ${slots} slots for ${header.read} tokens`);
      layer.setColumns(head, stored);
      layer.resize(head, slots);
      const keys = take(slots * headDim);
      const values = take(slots * headDim);
      const columns: Partial<Record<StoredColumn, Float32Array>> = {};
      for (const column of stored) columns[column] = take(slots);
      const copy: HeadCopy = { keys, values, columns };
      pasteHead(backend, layer, head, copy, store.layout);
    });
    layer.writeLengths();
  });
  if (at !== data.length) throw damaged(path, "there is more behind its slots");
  sequence.noteBytes(0);
}

/** What met a target, without what follows from it. */
function fittedOf(fitted: Fitted | null): Header["fitted"] {
  if (fitted?.kind !== "budget") return fitted;
  return { kind: "budget", budget: fitted.budget };
}

function refit(fitted: Header["fitted"], { policy: { target } }: Sequence): Fitted | null {
  if (fitted?.kind !== "budget") return fitted;
  return target?.turned.kind === "budget" ? { ...fitted, decision: target.turned.decisionAt(fitted.budget) } : null;
}

async function readSession(path: string): Promise<{ readonly header: Header; readonly data: Float32Array }> {
  let bytes: Uint8Array;
  try {
    const found = await stat(path);
    // A pipe or a device would be waited for without end; of a directory the system says what it is.
    if (!found.isFile() && !found.isDirectory()) {
      throw new WinnowError("file", `${path}: not a regular file; name one that was saved`);
    }
    bytes = await readFile(path);
  } catch (cause) {
    throw cause instanceof WinnowError ? cause : systemError(path, cause);
  }
  const start = MAGIC.length + 4;
  if (bytes.length < start || new TextDecoder().decode(bytes.subarray(0, MAGIC.length)) !== MAGIC) {
    throw damaged(path, "it does not begin as a session does");
  }
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(MAGIC.length, true);
  const end = start + length;
  if (end > bytes.length || (bytes.length - end) % 4 !== 0) throw damaged(path, "it is cut short");
  const parsed = headerSchema.safeParse(parseJson(new TextDecoder().decode(bytes.subarray(start, end))));
  if (!parsed.success)
    throw damaged(
      path,
      `its header: ${parsed.error.issues[0]?.path.join(".") ?? ""} ${parsed.error.issues[0]?.message ?? ""}`,
    );
  const header = parsed.data;
  const shape = header.heads.length === 0 || header.heads.every((heads) => heads.length === header.model.kvHeads);
  if (
    header.read > header.tokens.length ||
    !shape ||
    (header.read > 0 && header.heads.length !== header.model.layers)
  ) {
    throw damaged(path, "its header contradicts itself");
  }
  // Copied, so that floats are aligned whatever the header's length.
  return { header, data: new Float32Array(new Uint8Array(bytes.subarray(end)).buffer) };
}

function expectSameModel(header: Header, model: Model, path: string): void {
  const own = model.fingerprint;
  for (const field of ["layers", "queryHeads", "kvHeads", "headDim", "vocabularySize", "tokenizer"] as const) {
    if (header.model[field] !== own[field]) {
      throw new WinnowError(
        "plan",
        `${path} belongs to another model: its ${field} is ${header.model[field]}, and this model's is ${own[field]}`,
      );
    }
  }
  const { context } = model.engine;
  if (header.tokens.length > context || header.tokens.some((id) => id >= model.config.vocabulary)) {
    throw damaged(path, "its tokens do not fit the model");
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function damaged(path: string, problem: string): WinnowError {
  return new WinnowError(
    "file",
    `${path} is not a session, or damaged: ${problem}; expected a file that a session was saved to`,
  );
}

function bytesOf(words: Float32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}
