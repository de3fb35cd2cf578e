import { isDeviceTensor, type DeviceTensor } from "../device-tensor";
import { WinnowError } from "../errors";
import { isLasting, lasting } from "../lasting-spec";

/** What a value begins with in a stream. */
const Tag = {
  undefined: 0,
  null: 1,
  false: 2,
  true: 3,
  number: 4,
  string: 5,
  tensor: 6,
  array: 7,
  object: 8,
  words: 9,
} as const;

const FIRST_CAPACITY = 1024;

/**
 * Lasting specifications that the reader keeps: those of a step of 32 answers through a hundred layers. With each further one the
 * oldest is forgotten, and travels again when it comes again.
 */
const MOST_KEPT = 8192;

/** Stand where an operation's name would, before one whose specification lasts: in full, or kept since it came last. */
const LASTING = "lasting";
const AGAIN = "again";

/**
 * Specifications as numbers, one behind the other: a token's some hundred operations then travel between threads as one array,
 * where a copy of their objects would take longer than some of the operations themselves. One that lasts travels once, and is
 * a number from then on.
 */
export class SpecWriter {
  #numbers = new Float64Array(FIRST_CAPACITY);
  #length = 0;
  readonly #names = new Map<string, number>();
  #newNames: string[] = [];
  /** By specification, the operation that it is of and its number. */
  readonly #lasting = new WeakMap<object, { readonly name: string; readonly number: number }>();
  #lastingCount = 0;

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  number(value: number): void {
    if (this.#length === this.#numbers.length) {
      const grown = new Float64Array(2 * this.#length);
      grown.set(this.#numbers);
      this.#numbers = grown;
    }
    this.#numbers[this.#length++] = value;
  }

  /** Strings are the names of operations and of their operands: each travels once. */
  name(value: string): void {
    let number = this.#names.get(value);
    if (number === undefined) {
      number = this.#names.size;
      this.#names.set(value, number);
      this.#newNames.push(value);
    }
    this.number(number);
  }

  /**
   * An operation's name and its specification as it is now: what the caller changes afterwards does not show.
   *
   * @param idOf the number of a tensor; throws where it is not one that can be used. The stream then ends where it began.
   */
  operation(name: string, spec: object, idOf: (tensor: DeviceTensor) => number): void {
    const known = this.#lasting.get(spec);
    if (known?.name === name && this.#lastingCount - known.number <= MOST_KEPT) {
      this.name(AGAIN);
      this.number(known.number % MOST_KEPT);
      return;
    }
    const start = this.#length;
    const lasts = isLasting(spec);
    try {
      if (lasts) {
        this.name(LASTING);
        this.number(this.#lastingCount % MOST_KEPT);
      }
      this.name(name);
      const lengthAt = this.#length;
      this.number(0);
      this.#add(spec, idOf);
      this.#numbers[lengthAt] = this.#length - lengthAt - 1;
      if (lasts) this.#lasting.set(spec, { name, number: this.#lastingCount++ });
    } catch (error) {
      this.#length = start;
      throw error;
    }
  }

  /** What was written since the last call, and the names that are new in it. */
  take(): { readonly numbers: Float64Array; readonly names: readonly string[] } {
    const taken = { numbers: this.#numbers.slice(0, this.#length), names: this.#newNames };
    this.#length = 0;
    this.#newNames = [];
    return taken;
  }

  #add(value: unknown, idOf: (tensor: DeviceTensor) => number): void {
    switch (typeof value) {
      case "number":
        this.number(Tag.number);
        this.number(value);
        return;
      case "undefined":
        this.number(Tag.undefined);
        return;
      case "boolean":
        this.number(value ? Tag.true : Tag.false);
        return;
      case "string":
        this.number(Tag.string);
        this.name(value);
        return;
      case "object":
        this.#addObject(value, idOf);
        return;
      default:
        throw new WinnowError(
          "usage",
          `a specification holds a ${typeof value}, which cannot travel to another thread`,
        );
    }
  }

  #addObject(value: object | null, idOf: (tensor: DeviceTensor) => number): void {
    if (value === null) {
      this.number(Tag.null);
    } else if (Array.isArray(value)) {
      this.number(Tag.array);
      this.number(value.length);
      for (const item of value) this.#add(item, idOf);
    } else if (value instanceof Uint32Array) {
      this.number(Tag.words);
      this.number(value.length);
      for (const word of value) this.number(word);
    } else if (isDeviceTensor(value)) {
      this.number(Tag.tensor);
      this.number(idOf(value));
    } else {
      const entries = Object.entries(value);
      this.number(Tag.object);
      this.number(entries.length);
      for (const [key, item] of entries) {
        this.name(key);
        this.#add(item, idOf);
      }
    }
  }
}

/** An operation as it was read, or what was wrong with its specification. */
export type ReadOperation =
  { readonly name: string; readonly spec: unknown } | { readonly name: string; readonly error: unknown };

/** Reads what a `SpecWriter` wrote. */
export class SpecReader {
  readonly #names: string[] = [];
  readonly #kept: ReadOperation[] = [];
  #numbers: Float64Array = new Float64Array(0);
  #at = 0;

  /** Go on with what `take` gave. */
  open({ numbers, names }: ReturnType<SpecWriter["take"]>): void {
    this.#numbers = numbers;
    this.#at = 0;
    this.#names.push(...names);
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#numbers.length;
  }

  number(): number {
    return this.#numbers[this.#at++] ?? NaN;
  }

  name(): string {
    return this.#names[this.number()] ?? "";
  }

  /**
   * The operation that a word begins.
   *
   * @param word what `name` read last.
   * @param tensorOf what stands for a tensor of this number; where it throws, the stream goes on behind the specification all
   * the same.
   * @param isWanted whether it is to be run; null is returned otherwise.
   * @throws WinnowError `backend` for one that comes again and never came.
   */
  operation(word: string, tensorOf: (id: number) => unknown, isWanted: boolean): ReadOperation | null {
    if (word === AGAIN) {
      const kept = this.#kept[this.number()];
      if (kept === undefined) throw new WinnowError("backend", "a specification comes again that never came");
      return isWanted ? kept : null;
    }
    if (word === LASTING) {
      const place = this.number();
      const read = this.#read(this.name(), tensorOf);
      this.#kept[place] = "spec" in read && isObject(read.spec) ? { ...read, spec: lasting(read.spec) } : read;
      return isWanted ? read : null;
    }
    if (isWanted) return this.#read(word, tensorOf);
    const length = this.number();
    this.#at += length;
    return null;
  }

  #read(name: string, tensorOf: (id: number) => unknown): ReadOperation {
    const length = this.number();
    const end = this.#at + length;
    try {
      return { name, spec: this.#value(tensorOf) };
    } catch (error) {
      return { name, error };
    } finally {
      this.#at = end;
    }
  }

  #value(tensorOf: (id: number) => unknown): unknown {
    const tag = this.number();
    switch (tag) {
      case Tag.undefined:
        return undefined;
      case Tag.null:
        return null;
      case Tag.false:
        return false;
      case Tag.true:
        return true;
      case Tag.number:
        return this.number();
      case Tag.string:
        return this.name();
      case Tag.tensor:
        return tensorOf(this.number());
      case Tag.array: {
        const items: unknown[] = [];
        for (let left = this.number(); left > 0; left--) items.push(this.#value(tensorOf));
        return items;
      }
      case Tag.words: {
        const words = new Uint32Array(this.number());
        for (let i = 0; i < words.length; i++) words[i] = this.number();
        return words;
      }
      default: {
        const object: Record<string, unknown> = {};
        for (let left = this.number(); left > 0; left--) {
          const key = this.name();
          object[key] = this.#value(tensorOf);
        }
        return object;
      }
    }
  }
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
