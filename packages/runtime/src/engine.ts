import type { Backend } from "@winnow/core-tensor";
import type { TokenClasses } from "@winnow/kv-policies";

import type { Admission } from "./cache/admission";
import type { KvStore } from "./cache/kv-store";
import type { Decoder } from "./models/decoder";
import type { Rotaries } from "./models/rotaries";

/** What every sequence of a loaded model shares. */
export interface Engine {
  readonly backend: Backend;
  readonly decoder: Decoder;
  readonly rotaries: Rotaries;
  readonly classes: TokenClasses;
  /** The longest sequence, in tokens. */
  readonly context: number;
  /** Rows of a prompt that are read at a time in one layer. */
  readonly unitRows: number;
  readonly store: KvStore;
  /** Who may take cache of the store. */
  readonly admission: Admission;
  /** Calls under way on the backend: what one of them interrupts, all lose. */
  readonly calls: Set<object>;
}
