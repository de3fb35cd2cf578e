import type { WinnowError } from "@winnow/core-tensor";

import { throwIfAborted } from "../abort";
import { Turns } from "../turns";
import { overBudget } from "./kv-budget";
import { bytesFor, joinNeeds, type KvNeed } from "./kv-need";
import type { KvStore } from "./kv-store";

/** A cache that nobody is using just now, and that can do without the device. */
export interface Resident {
  /** Give its pages back; what it is needed for later is not lost. */
  leave(): Promise<void> | void;
}

/** A call that may hold cache from now on, until it is disposed. */
export interface Admitted extends Disposable {
  /** The smaller, the longer it has been there. */
  readonly number: number;
  /** What reading its prompt may take is taken, and no longer kept free. */
  read(): void;
  /** Whether its cache is on the host, for others' sake. */
  parked: boolean;
}

/**
 * Who may take cache, so that all of it stays within the budget. A prompt is admitted when the most that it can take fits;
 * what it may take is then kept free for it. Idle caches make room, the one that was used least recently first.
 */
export class Admission {
  readonly #store: KvStore;
  readonly #residents = new Set<Resident>();
  readonly #admitted = new Set<Admitted>();
  readonly #deciding = new Turns();
  readonly #listeners = new Set<() => void>();
  /** What a prompt that is being read may still take; one is read at a time. */
  #reserved: (() => KvNeed) | null = null;
  #count = 0;

  constructor(store: KvStore) {
    this.#store = store;
  }

  /** Whether there is a budget at all. */
  get limited(): boolean {
    return this.#store.budget.bytes !== Infinity;
  }

  /** A cache is idle from now on, and the one that was used last. */
  rest(resident: Resident): void {
    if (!this.limited) return;
    this.#residents.delete(resident);
    this.#residents.add(resident);
  }

  /** A cache is in use, or no longer there. */
  rouse(resident: Resident): void {
    this.#residents.delete(resident);
  }

  /** Call `listener` whenever there may be more room, until what is returned is disposed. */
  onRoom(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  /** Something was given back. */
  freed(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  /** Whether no other call holds any cache. */
  isAlone(admitted: Admitted): boolean {
    return [...this.#admitted].every((other) => other === admitted);
  }

  /**
   * Wait until a prompt can be read. One that does not fit for certain is admitted when nobody else holds cache: what it
   * keeps may be less.
   *
   * @param need the most that it can still take, at any time.
   * @throws WinnowError `aborted`
   */
  async admit(need: () => KvNeed, signal: AbortSignal | undefined): Promise<Admitted> {
    for (;;) {
      throwIfAborted(signal, "reading the prompt");
      using change = this.#nextChange(signal);
      // Those who had to leave amid their answers come first.
      if (![...this.#admitted].some(({ parked }) => parked)) {
        const admitted = await this.take(need, () => this.#admit(need));
        if (admitted !== null) return admitted;
        if (this.#admitted.size === 0) return this.#admit(null);
      }
      await change.happened;
    }
  }

  /**
   * Take cache as soon as it fits, asking idle caches to leave if it does not.
   *
   * @param act takes at once what was needed.
   * @returns what `act` returns, or null where there is no room even so.
   */
  async take<T>(need: () => KvNeed, act: () => T): Promise<T | null> {
    if (this.fits(need())) return act();
    using _ = await this.#deciding.take(undefined, "making room");
    while (!this.fits(need())) {
      const [oldest] = this.#residents;
      if (oldest === undefined) return null;
      this.#residents.delete(oldest);
      await oldest.leave();
    }
    return act();
  }

  /** Whether so much can be taken beside what is kept free. */
  fits(need: KvNeed): boolean {
    if (!this.limited) return true;
    const reserved = this.#reserved?.();
    return this.#store.budget.fits(bytesFor(this.#store, reserved === undefined ? need : joinNeeds(need, reserved)));
  }

  /** Whether every call that was admitted has its cache on the host: nobody will give anything back. */
  get allParked(): boolean {
    return [...this.#admitted].every(({ parked }) => parked);
  }

  /** What a call is told whose cache does not fit even alone. */
  get tooMuch(): WinnowError {
    return overBudget(this.#store.budget.bytes);
  }

  #admit(reserved: (() => KvNeed) | null): Admitted {
    this.#reserved = reserved;
    const admitted: Admitted = {
      number: ++this.#count,
      parked: false,
      read: () => {
        if (this.#reserved === reserved) this.#reserved = null;
        this.freed();
      },
      [Symbol.dispose]: () => {
        if (this.#reserved === reserved) this.#reserved = null;
        this.#admitted.delete(admitted);
        this.freed();
      },
    };
    this.#admitted.add(admitted);
    return admitted;
  }

  #nextChange(signal: AbortSignal | undefined): { readonly happened: Promise<void> } & Disposable {
    let tell = (): void => undefined;
    const happened = new Promise<void>((resolve) => {
      tell = resolve;
    });
    const listening = this.onRoom(tell);
    signal?.addEventListener("abort", tell);
    return {
      happened,
      [Symbol.dispose]: () => {
        listening[Symbol.dispose]();
        signal?.removeEventListener("abort", tell);
      },
    };
  }
}
