import type { PolicyRegistry } from "@winnow/kv-policies";

import type { Admission, Resident } from "./admission";
import type { CachePolicy } from "./cache-policy";
import type { ExtendReport, ProbeSource } from "./extend";
import type { Sequence } from "./sequence";

/** A part that prompts begin with, read and cut. */
export interface Prefix {
  readonly sequence: Sequence;
  /** Where the rows came from that its heads were profiled with. */
  readonly rows: ExtendReport["rows"];
}

/** How often a shared part was found, and what is kept for the next ones. */
export interface PrefixCounts {
  readonly entries: number;
  /** Bytes of their pages and columns. */
  readonly bytes: number;
  readonly hits: number;
  readonly misses: number;
}

/**
 * Caches of parts that many prompts begin with, such as a long system message: such a part is read and cut by itself
 * whether it is found here or not, so that answers are the same either way. What is kept makes room for prompts, the least
 * recently used first; without a KV budget nothing is kept.
 */
export class PrefixCache implements Disposable {
  readonly #entries = new Map<string, Prefix & Resident>();
  readonly #registries = new Map<PolicyRegistry, number>();
  #hits = 0;
  #misses = 0;

  constructor(private readonly admission: Admission) {}

  get counts(): PrefixCounts {
    const bytes = [...this.#entries.values()].reduce((sum, { sequence }) => sum + sequence.bytes, 0);
    return { entries: this.#entries.size, bytes, hits: this.#hits, misses: this.#misses };
  }

  /** What is known of a part that is cut in this way. */
  find(key: string): Prefix | null {
    const found = this.#entries.get(key) ?? null;
    if (found === null) this.#misses++;
    else {
      this.#hits++;
      this.admission.rest(found);
    }
    return found;
  }

  /** Keep a copy of a part that was just read, if there is room for it. */
  async keep(key: string, { sequence, rows }: Prefix): Promise<void> {
    if (!this.admission.limited || this.#entries.has(key)) return;
    const { backend } = sequence.engine;
    const copy = await this.admission.take(
      () => sequence.held,
      () => sequence.fork(),
    );
    if (copy === null) return;
    try {
      // An interrupt drops what has not run.
      await backend.flush();
    } catch (error) {
      copy[Symbol.dispose]();
      throw error;
    }
    const entry = {
      sequence: copy,
      rows,
      leave: () => {
        this.#entries.delete(key);
        copy[Symbol.dispose]();
      },
    };
    this.#entries.set(key, entry);
    this.admission.rest(entry);
  }

  /** A name for a part and for all that decides what is kept of it. */
  keyOf(ids: readonly number[], probe: ProbeSource | null, policy: CachePolicy, recovery: number | null): string {
    const { text, decision, rows, reading, generated, drift, group, target, registry } = policy;
    const heads = decision.kind === "plan" ? decision.heads.map((layer) => layer.map((head) => head.text)) : null;
    if (!this.#registries.has(registry)) this.#registries.set(registry, this.#registries.size);
    const cut = [text, recovery, target?.share, heads, rows, reading, generated, drift, group];
    return JSON.stringify([cut, this.#registries.get(registry), ids, rows === "probe" ? probe : null]);
  }

  /** Forget everything that is kept. */
  clear(): void {
    for (const entry of this.#entries.values()) {
      this.admission.rouse(entry);
      entry.sequence[Symbol.dispose]();
    }
    this.#entries.clear();
  }

  [Symbol.dispose](): void {
    this.clear();
  }
}
