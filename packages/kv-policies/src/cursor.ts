import { WinnowError } from "@winnow/core-tensor";

import { PolicySyntaxError } from "./syntax-error";

/** Nesting beyond this is a mistake, and would end in a stack overflow. */
const MAX_DEPTH = 200;

/** No policy that a device runs is nearly so long; without an end, reading one could take minutes. */
const MAX_LENGTH = 20_000;

/** A place in a policy's text, moving on as its parts are read. */
export class Cursor {
  #depth = 0;

  /** @throws PolicySyntaxError when the text is too long. */
  constructor(
    private readonly text: string,
    private at = 0,
  ) {
    if (text.length > MAX_LENGTH)
      this.fail(MAX_LENGTH, `a text of ${text.length} characters; expected at most ${MAX_LENGTH}`);
  }

  /** Pass over white space; gives the place behind it. */
  skip(): number {
    this.match(/\s+/y);
    return this.at;
  }

  /** Take what a sticky pattern matches here, or null. */
  match(pattern: RegExp): string | null {
    const found = this.peek(pattern);
    return found === null ? null : this.take(found.length);
  }

  /** What a sticky pattern matches here, or null, without taking it. */
  peek(pattern: RegExp): string | null {
    pattern.lastIndex = this.at;
    return pattern.exec(this.text)?.[0] ?? null;
  }

  /** Take so many characters. */
  take(length: number): string {
    const start = this.at;
    this.at += length;
    return this.text.slice(start, this.at);
  }

  /** Take a sign, after white space, where it is the next. */
  accept(sign: string): boolean {
    this.skip();
    if (!this.text.startsWith(sign, this.at)) return false;
    this.at += sign.length;
    return true;
  }

  expect(sign: string): void {
    if (!this.accept(sign)) this.fail(this.at, `expected "${sign}", found ${this.found()}`);
  }

  /** Take a word that has to be one of these. */
  word<Word extends string>(words: readonly Word[]): Word {
    const start = this.skip();
    const text = this.match(/\w+/y);
    const word = words.find((one) => one === text);
    if (word === undefined) {
      this.at = start;
      this.fail(start, `expected ${words.join(" or ")}, found ${this.found()}`);
    }
    return word;
  }

  /** Take a whole number, from `least` to 2³² − 1. */
  whole(least: number): number {
    const start = this.skip();
    const digits = this.match(/\d+/y);
    if (digits === null) this.fail(start, `expected a whole number, found ${this.found()}`);
    const number = Number(digits);
    if (number < least || number > 0xffffffff)
      this.fail(start, `${digits} is out of range; expected a whole number from ${least} to 4294967295`);
    return number;
  }

  inParentheses<T>(content: () => T): T {
    this.expect("(");
    const value = content();
    this.expect(")");
    return value;
  }

  /** What comes between parentheses, separated by commas; none where there are no parentheses, or nothing in them. */
  list<T>(item: () => T): T[] {
    if (!this.accept("(") || this.accept(")")) return [];
    const items = [item()];
    while (this.accept(",")) items.push(item());
    this.expect(")");
    return items;
  }

  atEnd(): boolean {
    return this.skip() === this.text.length;
  }

  expectEnd(): void {
    if (!this.atEnd()) this.fail(this.at, `expected an operator or the end, found ${this.found()}`);
  }

  /** Read a part that contains parts of its own kind. */
  nested<T>(read: () => T): T {
    if (++this.#depth > MAX_DEPTH) this.fail(this.at, `nested more than ${MAX_DEPTH} deep`);
    const value = read();
    this.#depth--;
    return value;
  }

  /** Put the place to an error of a value that was read from there. */
  checked<T>(start: number, make: () => T): T {
    try {
      return make();
    } catch (error) {
      if (error instanceof WinnowError && error.code === "policy" && !(error instanceof PolicySyntaxError)) {
        this.fail(start, error.message);
      }
      throw error;
    }
  }

  /** What stands here, for an error. */
  found(): string {
    const rest = this.text.slice(this.at, this.at + 40);
    return rest === "" ? "the end" : `"${/^(?:\w+|.)/su.exec(rest)?.[0] ?? rest}"`;
  }

  fail(position: number, problem: string): never {
    throw new PolicySyntaxError(this.text, position, problem);
  }
}

/** What to say of a name that nothing has. */
export function unknownName(what: string, name: string, known: readonly string[], near: string | null): string {
  return `unknown ${what} "${name}"${near === null ? "." : `; did you mean "${near}"?`} Known: ${known.join(", ")}`;
}
