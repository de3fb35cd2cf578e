import { WinnowError } from "@winnow/core-tensor";

import { OutOfBytes, parseGgufHeader, type GgufHeader, type GgufTensor, type GgufValue } from "./gguf-header";
import { quote } from "./quote";
import type { RangedFile } from "./ranged-file";

const FIRST_BYTES = 2 ** 20;

/** An open GGUF file, or the parts of one that was split; made by {@link openGguf}. */
export class GgufFile implements AsyncDisposable {
  /** The file's path; of a file in parts the first one's. */
  readonly path: string;
  /** What the file, or its first part, says of the model. */
  readonly metadata: ReadonlyMap<string, GgufValue>;
  /** Tensors of all parts, by their names in the file. */
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  readonly #parts: readonly GgufPart[];

  constructor(parts: readonly [GgufPart, ...GgufPart[]]) {
    const [{ file, header }] = parts;
    this.path = file.path;
    this.metadata = header.metadata;
    this.tensors = new Map(parts.flatMap((part) => [...part.header.tensors]));
    this.#parts = parts;
  }

  /** The part that holds a tensor, for messages. */
  fileOf(name: string): string {
    return this.#partOf(name)?.file.path ?? this.path;
  }

  /**
   * Fill an array with a tensor's bytes, as they are in the file, from its byte `from` on.
   *
   * @throws WinnowError `file` when there is no such tensor, or the file has shrunk since it was opened.
   */
  async readInto(target: Uint8Array, name: string, from = 0): Promise<void> {
    const part = this.#partOf(name);
    const tensor = part?.header.tensors.get(name);
    if (part === undefined || tensor === undefined || from + target.length > tensor.bytes) {
      throw new WinnowError(
        "file",
        `${this.path}: no tensor ${quote(name)} of at least ${from + target.length} bytes in the file`,
      );
    }
    await part.file.read(target, tensor.offset + from);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { file } of this.#parts) await file.close();
  }

  #partOf(name: string): GgufPart | undefined {
    return this.#parts.find(({ header }) => header.tensors.has(name));
  }
}

interface GgufPart {
  readonly file: RangedFile;
  readonly header: GgufHeader;
}

/**
 * Open a GGUF file and check its header. One that was split is opened by its first part, `…-00001-of-00003.gguf`.
 *
 * @param open opens a file by its path, or gives null where nothing is there.
 * @throws WinnowError `file` when a file is missing, damaged, cut short, or a part of another.
 */
export async function openGguf(path: string, open: (path: string) => Promise<RangedFile | null>): Promise<GgufFile> {
  const opened: RangedFile[] = [];
  const part = async (at: string): Promise<GgufPart> => {
    const file = await open(at);
    if (file === null) throw new WinnowError("file", `${at}: no such file or directory`);
    opened.push(file);
    return { file, header: await readHeader(file) };
  };
  try {
    const first = await part(path);
    const count = first.header.metadata.get("split.count") ?? 1;
    if (count === 1 || count === 0) return new GgufFile([first]);
    const others: GgufPart[] = [];
    for (const name of otherParts(path, count)) others.push(await part(name));
    expectApart([first, ...others]);
    return new GgufFile([first, ...others]);
  } catch (cause) {
    for (const file of opened) await file.close();
    throw cause;
  }
}

async function readHeader(file: RangedFile): Promise<GgufHeader> {
  for (let length = Math.min(FIRST_BYTES, file.size); ; length = Math.min(2 * length, file.size)) {
    const bytes = new Uint8Array(length);
    await file.read(bytes, 0);
    try {
      return parseGgufHeader(bytes, file);
    } catch (cause) {
      if (!(cause instanceof OutOfBytes)) throw cause;
    }
  }
}

function otherParts(path: string, count: GgufValue): readonly string[] {
  const named = /^(?<stem>.*-)00001-of-(?<count>\d{5})\.gguf$/s.exec(path);
  const { stem, count: digits } = named?.groups ?? {};
  if (stem === undefined || digits === undefined || Number(digits) !== count) {
    throw new WinnowError(
      "file",
      `${path}: one of ${String(count)} parts; expected the first one, whose name ends with ` +
        `"-00001-of-${String(count).padStart(5, "0")}.gguf", beside the others`,
    );
  }
  return Array.from({ length: Number(digits) - 1 }, (_, i) => {
    const number = String(i + 2).padStart(5, "0");
    return `${stem}${number}-of-${digits}.gguf`;
  });
}

function expectApart(parts: readonly GgufPart[]): void {
  const owners = new Map<string, string>();
  for (const { file, header } of parts) {
    for (const name of header.tensors.keys()) {
      const owner = owners.get(name);
      if (owner !== undefined) {
        throw new WinnowError("file", `${file.path}: tensor ${quote(name)} is in ${owner} as well`);
      }
      owners.set(name, file.path);
    }
  }
}
