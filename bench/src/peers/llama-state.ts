import { open, readFile, type FileHandle } from "node:fs/promises";

const MAGIC = 0x67677371;
const VERSION = 3;
const BUFFER_BYTES = 2 ** 20;

/**
 * Write a state of llama.cpp's for one sequence, as `llama_state_seq_save_file` does, that has the keys and values of a
 * shorter one over and over: reading takes minutes where this takes a moment, and attention costs the same.
 *
 * @param template path of a state of a few tokens.
 * @param tokens of the state that is written, as many as it has.
 * @throws RangeError for a file of another form.
 */
export async function lengthenState(template: string, path: string, tokens: readonly number[]): Promise<void> {
  const reader = new StateReader(await readFile(template), template);
  const file = await open(path, "w");
  try {
    await new StateWriter(file, reader, tokens).write();
  } finally {
    await file.close();
  }
}

class StateReader {
  #at = 0;

  constructor(
    private readonly bytes: Buffer,
    private readonly path: string,
  ) {}

  u32(): number {
    return this.take(4).readUInt32LE();
  }

  u64(): number {
    return Number(this.take(8).readBigUInt64LE());
  }

  take(count: number): Buffer {
    const taken = this.bytes.subarray(this.#at, this.#at + count);
    if (taken.length < count) throw new RangeError(`${this.path} ends before ${count} bytes at byte ${this.#at}`);
    this.#at += count;
    return taken;
  }

  expect(what: string, found: number, expected: number): void {
    if (found === expected) return;
    throw new RangeError(
      `${this.path}: its ${what} is ${found}, expected ${expected}; another version of llama.cpp needs this file's reader changed`,
    );
  }

  get rest(): Buffer {
    return this.bytes.subarray(this.#at);
  }
}

class StateWriter {
  #pending: Buffer[] = [];
  #pendingBytes = 0;

  constructor(
    private readonly file: FileHandle,
    private readonly from: StateReader,
    private readonly tokens: readonly number[],
  ) {}

  async write(): Promise<void> {
    const { from, tokens } = this;
    from.expect("magic", from.u32(), MAGIC);
    from.expect("version", from.u32(), VERSION);
    const templateTokens = from.u32();
    from.take(4 * templateTokens);
    const streams = from.u32();
    const cells = from.u32();
    from.expect("number of cells", cells, templateTokens);
    // A cell is a position and the sequences that it is of.
    for (let cell = 0; cell < cells; cell++) {
      from.take(4);
      from.expect("number of a cell's sequences", from.u32(), 1);
      from.take(4);
    }
    await this.#put(u32s(MAGIC, VERSION, tokens.length, ...tokens, streams, tokens.length));
    await this.#put(Buffer.concat(tokens.map((_, position) => u32s(position, 1, 0))));
    await this.#layers(cells);
    // What streams of other sequences hold.
    await this.#put(from.rest);
    await this.#flush();
  }

  async #layers(cells: number): Promise<void> {
    const { from } = this;
    const transposed = from.u32();
    const layers = from.u32();
    await this.#put(u32s(transposed, layers));
    for (let l = 0; l < layers; l++) await this.#rows(cells);
    for (let l = 0; l < layers; l++) {
      if (transposed === 0) await this.#rows(cells);
      else await this.#columns(cells);
    }
  }

  /** A layer's keys, or its values: a row a cell. */
  async #rows(cells: number): Promise<void> {
    const { from } = this;
    const type = from.u32();
    const rowBytes = from.u64();
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(rowBytes));
    await this.#put(Buffer.concat([u32s(type), length]));
    await this.#repeat(from.take(rowBytes * cells), rowBytes * this.tokens.length);
  }

  /** A layer's values by column: the cells of each one behind those of the one before. */
  async #columns(cells: number): Promise<void> {
    const { from } = this;
    const [type, elementBytes, width] = [from.u32(), from.u32(), from.u32()];
    await this.#put(u32s(type, elementBytes, width));
    for (let column = 0; column < width; column++) {
      await this.#repeat(from.take(elementBytes * cells), elementBytes * this.tokens.length);
    }
  }

  async #repeat(period: Buffer, bytes: number): Promise<void> {
    for (let at = 0; at < bytes; at += period.length) await this.#put(period.subarray(0, bytes - at));
  }

  async #put(bytes: Buffer): Promise<void> {
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.length;
    if (this.#pendingBytes >= BUFFER_BYTES) await this.#flush();
  }

  async #flush(): Promise<void> {
    await this.file.writeFile(Buffer.concat(this.#pending));
    this.#pending = [];
    this.#pendingBytes = 0;
  }
}

function u32s(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, i) => bytes.writeUInt32LE(value, 4 * i));
  return bytes;
}
