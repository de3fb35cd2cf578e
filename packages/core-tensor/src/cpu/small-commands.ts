import type { SpecReader, SpecWriter } from "./spec-stream";
import type { Command, Part, Words } from "./worker-protocol";

/** Elements of a write that travels with the numbers. */
const MOST_WRITTEN = 256;

const WORDS = [Uint32Array, Int32Array, Float32Array] as const;

/**
 * Put a command among a stream's numbers, where it is one of those that come with every token: a few numbers take less time
 * than an object.
 *
 * @returns whether it was put there.
 */
export function putCommand(stream: SpecWriter, command: Command): boolean {
  switch (command.kind) {
    case "copy":
      begin(stream, "copy", command.id, command.target, command.from, command.to, command.count);
      return true;
    case "flush":
      begin(stream, "flush", command.ticket);
      return true;
    case "download":
      begin(stream, "download", command.ticket, command.parts.length);
      for (const { id, start, end } of command.parts) {
        stream.number(id);
        stream.number(start);
        stream.number(end);
      }
      return true;
    case "write": {
      const { id, data, offset } = command;
      const type = WORDS.findIndex((type) => data instanceof type);
      if (type < 0 || data.length > MOST_WRITTEN) return false;
      begin(stream, "write", id, offset, type, data.length);
      // As bits: not every NaN is the same.
      for (const word of new Uint32Array(data.buffer, data.byteOffset, data.length)) stream.number(word);
      return true;
    }
    default:
      return false;
  }
}

/** The command that a word begins; null where it begins none. */
export function takeCommand(word: string, stream: SpecReader): Command | null {
  switch (word) {
    case "copy": {
      const [id, target] = [stream.number(), stream.number()];
      return { kind: "copy", id, target, from: stream.number(), to: stream.number(), count: stream.number() };
    }
    case "flush":
      return { kind: "flush", ticket: stream.number() };
    case "download": {
      const ticket = stream.number();
      const parts: Part[] = [];
      for (let left = stream.number(); left > 0; left--) {
        parts.push({ id: stream.number(), start: stream.number(), end: stream.number() });
      }
      return { kind: "download", ticket, parts };
    }
    case "write": {
      const [id, offset, type] = [stream.number(), stream.number(), stream.number()];
      const words = new Uint32Array(stream.number());
      for (let i = 0; i < words.length; i++) words[i] = stream.number();
      const Typed = WORDS[type] ?? Uint32Array;
      const data: Words = new Typed(words.buffer);
      return { kind: "write", id, data, offset };
    }
    default:
      return null;
  }
}

function begin(stream: SpecWriter, word: string, ...numbers: readonly number[]): void {
  stream.name(word);
  for (const number of numbers) stream.number(number);
}
