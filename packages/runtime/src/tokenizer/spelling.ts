import { WinnowError } from "@winnow/core-tensor";
import { z } from "zod";

import { byteLevelBytes } from "./byte-level";

/** How a tokenizer writes bytes as the text of its tokens. */
export interface Spelling {
  bytesOf(token: string): Uint8Array;
  /** Whether a space at the very start of a text is the tokenizer's own and is left out. */
  readonly dropsLeadingSpace: boolean;
}

const decoderSchema = z.looseObject({
  type: z.string(),
  decoders: z.array(z.unknown()).optional(),
  pattern: z.looseObject({ String: z.string().optional() }).optional(),
  content: z.string().optional(),
  start: z.number().optional(),
  stop: z.number().optional(),
  replacement: z.string().optional(),
  prepend_scheme: z.string().optional(),
  add_prefix_space: z.boolean().optional(),
});
type Decoder = z.output<typeof decoderSchema>;

const encoder = new TextEncoder();
const SUPPORTED = "ByteLevel, or Metaspace or Replace with ByteFallback, Fuse and Strip as in SentencePiece";

/**
 * The spelling behind the `decoder` of a `tokenizer.json`: byte-level (GPT-2, Llama 3) or that of
 * SentencePiece (Llama 2), whose spaces are `▁` and whose lone bytes are `<0xNN>`.
 *
 * @throws WinnowError `tokenizer` for any other.
 */
export function spellingOf(decoder: unknown, what: string): Spelling {
  const steps = flatten(decoder, what);
  const types = steps.map((step) => step.type);
  if (types.includes("ByteLevel") && types.every((type) => type === "ByteLevel" || type === "Fuse")) {
    return { bytesOf: byteLevelBytes, dropsLeadingSpace: false };
  }
  const space = steps.map(spaceCharacter).find((character) => character !== null);
  if (space == null || !steps.every((step) => fitsSentencePiece(step, space)) || stripsEveryToken(types)) {
    throw new WinnowError(
      "tokenizer",
      `${what}: decoder ${types.join(" + ") || "null"} is not supported; supported: ${SUPPORTED}`,
    );
  }
  const bytes = types.includes("ByteFallback");
  return {
    bytesOf: (token) => sentencePieceBytes(token, space, bytes),
    dropsLeadingSpace: steps.some(dropsLeadingSpace),
  };
}

function flatten(decoder: unknown, what: string): readonly Decoder[] {
  if (decoder === null || decoder === undefined) return [];
  const parsed = decoderSchema.safeParse(decoder);
  if (!parsed.success)
    throw new WinnowError("tokenizer", `${what}: decoder is malformed; expected an object with a type`, {
      cause: parsed.error,
    });
  const step = parsed.data;
  return step.type === "Sequence" ? (step.decoders ?? []).flatMap((inner) => flatten(inner, what)) : [step];
}

/** The character that stands for a space, where this step says so. */
function spaceCharacter(step: Decoder): string | null {
  if (step.type === "Metaspace") return step.replacement ?? "▁";
  if (step.type === "Replace" && step.content === " ") return step.pattern?.String ?? null;
  return null;
}

function fitsSentencePiece(step: Decoder, space: string): boolean {
  switch (step.type) {
    case "Metaspace":
    case "Replace":
      return spaceCharacter(step) === space;
    case "ByteFallback":
    case "Fuse":
      return true;
    case "Strip":
      return step.content === " " && (step.start ?? 0) <= 1 && (step.stop ?? 0) === 0;
    default:
      return false;
  }
}

/** A Strip before the tokens are joined would take the space from each of them. */
function stripsEveryToken(types: readonly string[]): boolean {
  const strip = types.indexOf("Strip");
  return strip >= 0 && !types.slice(0, strip).includes("Fuse");
}

function dropsLeadingSpace(step: Decoder): boolean {
  if (step.type === "Strip") return step.start === 1;
  return step.type === "Metaspace" && step.prepend_scheme !== "never" && step.add_prefix_space !== false;
}

function sentencePieceBytes(token: string, space: string, byteFallback: boolean): Uint8Array {
  const byte = byteFallback ? /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1] : undefined;
  return byte === undefined ? encoder.encode(token.replaceAll(space, " ")) : Uint8Array.of(Number.parseInt(byte, 16));
}
