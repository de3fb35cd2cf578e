import { setImmediate as breathe } from "node:timers/promises";

/** A line of an input file that is not blank. */
export interface InputText {
  /** Its place among such lines, from 0: what results are filed under. */
  readonly index: number;
  /** Its place in the file, from 1: what people are told. */
  readonly number: number;
  readonly text: string;
}

const NEWLINE = 0x0a;
/** So often the event loop gets its turn while a large file is read. */
const LINES_PER_TURN = 1000;

/**
 * The lines of a JSONL file. Blank ones are left out, and a byte order mark is.
 *
 * @throws TypeError where a line is not UTF-8
 */
export async function* inputLines(content: AsyncIterable<Uint8Array>): AsyncGenerator<InputText> {
  let index = 0;
  let number = 0;
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false });
  const read = (bytes: Uint8Array): InputText | null => {
    number++;
    const text = decoder.decode(bytes).trim();
    return text === "" ? null : { index: index++, number, text };
  };
  let rest: Uint8Array[] = [];
  for await (const chunk of content) {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(NEWLINE, start);
      if (end < 0) break;
      const line = read(Buffer.concat([...rest, chunk.subarray(start, end)]));
      rest = [];
      start = end + 1;
      if (line !== null) yield line;
      if (number % LINES_PER_TURN === 0) await breathe();
    }
    if (start < chunk.length) rest.push(chunk.subarray(start));
  }
  const last = read(Buffer.concat(rest));
  if (last !== null) yield last;
}
