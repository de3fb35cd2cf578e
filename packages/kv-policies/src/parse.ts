import { WinnowError, type BinaryOperator, type Expr, type UnaryOperator } from "@winnow/core-tensor";

import { count, ratio, type Amount } from "./amount";
import {
  Policy,
  every,
  frequent,
  full,
  intersect,
  limit,
  minus,
  none,
  not,
  punctuation,
  recent,
  sink,
  special,
  tokens,
  top,
  union,
} from "./policy";
import { defaultRegistry, type PolicyRegistry } from "./registry";
import { SCORE_FUNCTIONS, STATISTICS } from "./score";
import { PolicySyntaxError, nearest } from "./syntax-error";

/** Atoms that a policy's text may name, with what stands between their parentheses. */
const ATOMS: Readonly<Record<string, (parser: Parser) => Policy>> = {
  full: () => full(),
  none: () => none(),
  special: () => special(),
  punctuation: () => punctuation(),
  tokens: (p) => p.inParentheses(() => p.tokenSet()),
  sink: (p) => p.inParentheses(() => sink(p.whole())),
  every: (p) => p.inParentheses(() => every(p.whole(), p.accept(",") ? p.wholeOrZero() : 0)),
  frequent: (p) => p.inParentheses(() => frequent(p.amount())),
  recent: (p) => p.inParentheses(() => recent(p.amount())),
  top: (p) =>
    p.inParentheses(() => {
      const score = p.score();
      p.expect(",");
      const amount = p.amount();
      return top(score, amount, p.accept(",") ? p.scope() : "head");
    }),
  limit: (p) =>
    p.inParentheses(() => {
      const policy = p.union();
      p.expect(",");
      const amount = p.amount();
      p.expect(",");
      p.keyword("by");
      return limit(policy, amount, p.score());
    }),
};

/** Names that an expression's policies may have besides those of plug-ins. */
export const ATOM_NAMES: readonly string[] = Object.keys(ATOMS);

/** Nesting beyond this is a mistake, and would end in a stack overflow. */
const MAX_DEPTH = 200;

/**
 * Read a policy's text. Operators: `!`, then `&` and `-` from left to right, then `|`; `30%` is a ratio, `64` a count.
 *
 * @param registry names of plug-ins that the text may use.
 * @throws PolicySyntaxError with the position, where the text is not a policy; WinnowError `plugin` where a plug-in fails.
 * @example parsePolicy("special | frequent(30%) & !punctuation").text
 */
export function parsePolicy(text: string, registry: PolicyRegistry = defaultRegistry): Policy {
  return new Parser(text, registry).wholePolicy();
}

/** Read amounts between parentheses, as a preset's parameters, from a place in a text. */
export function parseAmounts(text: string, from: number, registry: PolicyRegistry = defaultRegistry): Amount[] {
  return new Parser(text, registry, from).amounts();
}

/** Read a score: names of statistics, numbers, `+ - * /`, functions. */
export function parseScore(text: string, registry: PolicyRegistry = defaultRegistry): Expr {
  return new Parser(text, registry).wholeScore();
}

class Parser {
  #at: number;
  #depth = 0;

  constructor(
    private readonly text: string,
    private readonly registry: PolicyRegistry,
    from = 0,
  ) {
    this.#at = from;
  }

  amounts(): Amount[] {
    const amounts = this.inParentheses(() => this.#amountList());
    this.#expectEnd();
    return amounts;
  }

  wholePolicy(): Policy {
    const policy = this.union();
    this.#expectEnd();
    return policy;
  }

  wholeScore(): Expr {
    const score = this.score();
    this.#expectEnd();
    return score;
  }

  union(): Policy {
    return this.#nested(() => {
      const parts = [this.#intersection()];
      while (this.accept("|")) parts.push(this.#intersection());
      return union(...parts);
    });
  }

  amount(): Amount {
    const start = this.#skip();
    const number = this.#match(/\d+(?:\.\d+)?(?:e[+-]?\d+)?/y);
    if (number === null) this.#fail(start, `expected an amount, such as 30% or 64, found ${this.#found()}`);
    const percent = this.#match(/\s*%/y) !== null;
    return this.#checked(start, () => {
      const value = Number(number);
      if (percent) return ratio(value / 100);
      if (value > 0 && value < 1) {
        throw new WinnowError("policy", `an amount of ${number}; write ${Number((value * 100).toPrecision(12))}% for a ratio`);
      }
      return count(value);
    });
  }

  whole(): number {
    const start = this.#skip();
    const number = this.#match(/\d+/y);
    if (number === null) this.#fail(start, `expected a whole number, found ${this.#found()}`);
    return this.#checked(start, () => count(Number(number)).value);
  }

  wholeOrZero(): number {
    return this.#match(/\s*0(?!\d)/y) === null ? this.whole() : 0;
  }

  scope(): "head" | "layer" {
    const start = this.#skip();
    const word = this.#match(/\w+/y);
    if (word !== "head" && word !== "layer") this.#fail(start, `expected head or layer, found "${word ?? this.#found()}"`);
    return word;
  }

  tokenSet(): Policy {
    const start = this.#skip();
    const pattern = this.#match(/\/(?:[^/\\\n]|\\.)+\/[a-z]*/y);
    if (pattern !== null) {
      const end = pattern.lastIndexOf("/");
      return this.#checked(start, () => tokens(regularExpression(pattern.slice(1, end), pattern.slice(end + 1))));
    }
    const ids = [this.wholeOrZero()];
    while (this.accept(",")) ids.push(this.wholeOrZero());
    return tokens(ids);
  }

  score(): Expr {
    return this.#nested(() => this.#sum());
  }

  keyword(word: string): void {
    const start = this.#skip();
    if (this.#match(/\w+/y) !== word) this.#fail(start, `expected "${word}"`);
  }

  inParentheses<T>(content: () => T): T {
    this.expect("(");
    const value = content();
    this.expect(")");
    return value;
  }

  accept(sign: string): boolean {
    this.#skip();
    if (!this.text.startsWith(sign, this.#at)) return false;
    this.#at += sign.length;
    return true;
  }

  expect(sign: string): void {
    if (!this.accept(sign)) this.#fail(this.#at, `expected "${sign}", found ${this.#found()}`);
  }

  #intersection(): Policy {
    let policy = this.#unary();
    for (;;) {
      if (this.accept("&")) policy = intersect(policy, this.#unary());
      else if (this.accept("-")) policy = minus(policy, this.#unary());
      else return policy;
    }
  }

  #unary(): Policy {
    return this.#nested(() => (this.accept("!") ? not(this.#unary()) : this.#atom()));
  }

  #atom(): Policy {
    if (this.accept("(")) {
      const policy = this.union();
      this.expect(")");
      return policy;
    }
    const start = this.#skip();
    const name = this.#match(/[A-Za-z_][\w.-]*\w|[A-Za-z_]/y);
    if (name === null) this.#fail(start, `expected a policy, found ${this.#found()}`);
    const atom = Object.hasOwn(ATOMS, name) ? ATOMS[name] : undefined;
    if (atom !== undefined) return this.#checked(start, () => atom(this));
    const plugin = this.registry.policy(name);
    if (plugin === null) {
      const known = [...ATOM_NAMES, ...this.registry.policyNames];
      const near = nearest(name, known);
      this.#fail(start, `unknown policy "${name}"${near === null ? "" : `; did you mean "${near}"?`} Known: ${known.join(", ")}`);
    }
    const amounts = this.accept("(") ? this.#amountList() : [];
    if (amounts.length > 0) this.expect(")");
    return plugin.build(amounts);
  }

  #amountList(): Amount[] {
    const amounts = [this.amount()];
    while (this.accept(",")) amounts.push(this.amount());
    return amounts;
  }

  #sum(): Expr {
    let left = this.#product();
    for (;;) {
      if (this.accept("+")) left = { op: "add", left, right: this.#product() };
      else if (this.accept("-")) left = { op: "sub", left, right: this.#product() };
      else return left;
    }
  }

  #product(): Expr {
    let left = this.#factor();
    for (;;) {
      if (this.accept("*")) left = { op: "mul", left, right: this.#factor() };
      else if (this.accept("/")) left = { op: "div", left, right: this.#factor() };
      else return left;
    }
  }

  #factor(): Expr {
    return this.#nested(() => {
      if (this.accept("-")) {
        const of = this.#factor();
        return of.op === "constant" ? { op: "constant", value: -of.value } : { op: "neg", of };
      }
      if (this.accept("(")) {
        const inner = this.#sum();
        this.expect(")");
        return inner;
      }
      const start = this.#skip();
      const number = this.#match(/\d+(?:\.\d+)?(?:e[+-]?\d+)?/y);
      if (number !== null) return { op: "constant", value: Number(number) };
      const name = this.#match(/[A-Za-z_]\w*/y);
      if (name === null) this.#fail(start, `expected a score, found ${this.#found()}`);
      return this.#named(name, start);
    });
  }

  #named(name: string, start: number): Expr {
    switch (name) {
      case "abs":
      case "sqrt":
      case "exp":
      case "log":
        return { op: name satisfies UnaryOperator, of: this.inParentheses(() => this.#sum()) };
      case "min":
      case "max":
        return this.inParentheses(() => {
          const left = this.#sum();
          this.expect(",");
          return { op: name satisfies BinaryOperator, left, right: this.#sum() };
        });
      case "random":
        return { op: "random", seed: this.inParentheses(() => this.wholeOrZero()) };
    }
    const expr = (Object.hasOwn(STATISTICS, name) ? STATISTICS[name]?.expr : undefined) ?? this.registry.score(name);
    if (expr !== null) return expr;
    const known = [...Object.keys(STATISTICS), ...this.registry.statisticNames, ...SCORE_FUNCTIONS];
    const near = nearest(name, known);
    this.#fail(start, `unknown score "${name}"${near === null ? "" : `; did you mean "${near}"?`} Known: ${known.join(", ")}`);
  }

  /** Put the place to an error of a value that was read from there. */
  #checked<T>(start: number, make: () => T): T {
    try {
      return make();
    } catch (error) {
      if (error instanceof WinnowError && error.code === "policy" && !(error instanceof PolicySyntaxError)) {
        this.#fail(start, error.message);
      }
      throw error;
    }
  }

  #nested<T>(parse: () => T): T {
    if (++this.#depth > MAX_DEPTH) this.#fail(this.#at, `nested more than ${MAX_DEPTH} deep`);
    const value = parse();
    this.#depth--;
    return value;
  }

  #expectEnd(): void {
    if (this.#skip() < this.text.length) this.#fail(this.#at, `expected an operator or the end, found ${this.#found()}`);
  }

  #skip(): number {
    this.#match(/\s+/y);
    return this.#at;
  }

  #match(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at;
    const [found] = pattern.exec(this.text) ?? [];
    if (found === undefined) return null;
    this.#at += found.length;
    return found;
  }

  #found(): string {
    const rest = this.text.slice(this.#at);
    return rest === "" ? "the end" : `"${/^(?:\w+|.)/su.exec(rest)?.[0] ?? rest}"`;
  }

  #fail(position: number, problem: string): never {
    throw new PolicySyntaxError(this.text, position, problem);
  }
}

function regularExpression(source: string, flags: string): RegExp {
  try {
    return new RegExp(source, flags);
  } catch (cause) {
    throw new WinnowError("policy", `/${source}/${flags} is not a regular expression`, { cause });
  }
}
