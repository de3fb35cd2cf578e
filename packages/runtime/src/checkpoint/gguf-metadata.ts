import { WinnowError } from "@winnow/core-tensor";

import type { GgufNumbers, GgufValue } from "../files/gguf-header";
import { quote } from "../files/quote";

/** What a GGUF file says of its model, by key and as the type that is expected of it. */
export class GgufMetadata {
  constructor(
    private readonly values: ReadonlyMap<string, GgufValue>,
    /** The file, for messages. */
    readonly path: string,
  ) {}

  has(key: string): boolean {
    return this.values.has(key);
  }

  /** @throws WinnowError `file` when it is missing, or no such number. */
  whole(key: string, least: number, most: number): number {
    const value = this.values.get(key);
    if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) return value;
    throw this.#unexpected(key, `a whole number from ${least} to ${most}`);
  }

  /** @throws WinnowError `file` when it is missing, or not above 0. */
  positive(key: string): number {
    const value = this.values.get(key);
    if (typeof value === "number" && Number.isFinite(value) && value > 0) return value;
    throw this.#unexpected(key, "a number above 0");
  }

  /** @throws WinnowError `file` when it is missing, or no text. */
  text(key: string): string {
    const value = this.values.get(key);
    if (typeof value === "string") return value;
    throw this.#unexpected(key, "a text");
  }

  /** @throws WinnowError `file` when it is neither true nor false. */
  flag(key: string): boolean {
    const value = this.values.get(key);
    if (typeof value === "boolean") return value;
    throw this.#unexpected(key, "true or false");
  }

  /** @throws WinnowError `file` when it is missing, or not an array of texts. */
  texts(key: string): readonly string[] {
    const value = this.values.get(key);
    if (Array.isArray(value) && value.every((text) => typeof text === "string")) return value;
    throw this.#unexpected(key, "an array of texts");
  }

  /** @throws WinnowError `file` when it is missing, or not an array of numbers, as many as that. */
  numbers(key: string, count: number): Exclude<GgufNumbers, BigInt64Array | BigUint64Array> {
    const value = this.values.get(key);
    const isArray = ArrayBuffer.isView(value) && !(value instanceof BigInt64Array || value instanceof BigUint64Array);
    if (isArray && value.length === count) return value;
    throw this.#unexpected(key, `an array of ${count} numbers`);
  }

  /** The same number where the file gives one for each layer. @throws WinnowError `file`, `model` */
  sameForLayers(key: string, layers: number, least: number, most: number): number {
    const value = this.values.get(key);
    if (!ArrayBuffer.isView(value)) return this.whole(key, least, most);
    const numbers = Array.from(this.numbers(key, layers));
    const [first] = numbers;
    if (first === undefined || numbers.some((number) => number !== first)) {
      throw new WinnowError("model", `${this.path}: ${key} differs between layers, which is not supported`);
    }
    if (Number.isInteger(first) && first >= least && first <= most) return first;
    throw this.#unexpected(key, `whole numbers from ${least} to ${most}`);
  }

  #unexpected(key: string, expected: string): WinnowError {
    const value = this.values.get(key);
    const found =
      value === undefined
        ? "missing"
        : typeof value === "object"
          ? `an array of ${value.length}`
          : quote(String(value));
    return new WinnowError("file", `${this.path}: ${key} is ${found}; expected ${expected}`);
  }
}
