import * as fc from "fast-check";
import { afterAll, afterEach, beforeAll } from "vitest";

import type { Backend } from "../backend";
import type { KvType } from "../kv-type";
import type { QuantisedType } from "../quantised-row";
import { Fixture } from "./fixture";
import { TOLERANCES, type Tolerance } from "./tolerances";

export interface BackendSuiteOptions {
  /** Against references in float64; that of f32 unless told otherwise. */
  readonly tolerance?: Tolerance;
  /**
   * Whether a row's result has the same bits however rows are grouped, and wherever its keys lie. Where a backend has
   * different kernels for one row and for many, it holds within the tolerance only. True unless told otherwise.
   */
  readonly bitEqual?: boolean;
  /** Generated cases a property; 20 unless told otherwise. */
  readonly numRuns?: number;
  /** How caches store keys and values; f32 unless told otherwise. */
  readonly kvType?: KvType;
  /** Types of weights for whose products rows are rounded to eight bits first; none unless told otherwise. */
  readonly roundingTypes?: readonly QuantisedType[];
}

/** The backend under test, made before the first test of a `describe` and disposed after its last. */
export class SuiteContext {
  readonly tolerance: Tolerance;
  /** Of keys and values that were put into pages, against what they were. */
  readonly stored: Tolerance;
  /** Of keys and values that were put into scratch. */
  readonly scratch: Tolerance;
  /** For fast-check. */
  readonly runs: { readonly numRuns: number };
  /** Half the size of a head. Few sizes, of twos and of fours: a device compiles a kernel for each. */
  readonly halves: fc.Arbitrary<number>;
  /** The size of a head where one will do: one that the cache allows. */
  readonly headDim: number;
  /** Types of weights for whose products rows are rounded to eight bits first. */
  readonly roundingTypes: ReadonlySet<QuantisedType>;
  readonly #lawTolerance: Tolerance;
  #fixture: Fixture | null = null;

  constructor(makeBackend: () => Backend | Promise<Backend>, options: BackendSuiteOptions) {
    this.tolerance = options.tolerance ?? TOLERANCES.f32;
    const kvType = options.kvType ?? "f32";
    this.scratch = kvType === "f32" ? this.tolerance : TOLERANCES.f16;
    this.stored = kvType === "f32" ? this.tolerance : TOLERANCES[kvType];
    // What shares a word is written by one thread, so the other types have heads of fours only.
    this.halves =
      kvType === "f32"
        ? fc.constantFrom(1, 2, 3, 8)
        : kvType === "q4"
          ? fc.constantFrom(16, 32)
          : fc.constantFrom(2, 8);
    this.headDim = kvType === "q4" ? 32 : 4;
    this.roundingTypes = new Set(options.roundingTypes);
    this.runs = { numRuns: options.numRuns ?? 20 };
    this.#lawTolerance = (options.bitEqual ?? true) ? { rtol: 0, atol: 0 } : this.tolerance;
    beforeAll(async () => {
      this.#fixture = new Fixture(await makeBackend(), options.kvType);
    });
    afterEach(() => {
      this.#fixture?.release();
    });
    afterAll(() => {
      this.#fixture?.[Symbol.dispose]();
    });
  }

  get fixture(): Fixture {
    if (this.#fixture === null) throw new Error("the backend exists while tests run, and not before");
    return this.#fixture;
  }

  get backend(): Backend {
    return this.fixture.backend;
  }

  /** For two ways to compute one thing. */
  get lawTolerance(): Tolerance {
    return this.#lawTolerance;
  }
}
