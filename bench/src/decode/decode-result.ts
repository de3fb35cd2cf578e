import { alignColumns } from "../columns";
import { formatMachine, type Machine } from "../machine";

/** What the main thread does for a token; where several answers are written together, for a token of each. */
export interface DecodeRow {
  readonly name: string;
  /** From drawing a token to submitting the step that reads it; the median. */
  readonly hostMicroseconds: number;
  readonly dispatches: number;
  readonly microsecondsPerDispatch: number;
  /** Encoding and submitting the same dispatches from a list; the median. */
  readonly replayMicroseconds: number;
  readonly wallMilliseconds: number;
  readonly submissions: number;
  /** Made while tokens were measured. */
  readonly pipelines: number;
  readonly bindGroups: number;
  readonly buffers: number;
}

/** What the benchmark prints. */
export interface DecodeResult {
  readonly machine: Machine;
  readonly adapter: { readonly name: string; readonly software: string | null };
  readonly model: { readonly layers: number; readonly width: number; readonly prompt: number; readonly tokens: number };
  readonly rows: readonly DecodeRow[];
}

/** A result as text: a table, a case a line. */
export function formatDecode(result: DecodeResult): string {
  const { layers, width, prompt, tokens } = result.model;
  const head = [
    "tokens",
    "host µs",
    "dispatches",
    "µs each",
    "from a list µs",
    "wall ms",
    "submissions",
    "pipelines",
    "bind groups",
    "buffers",
  ];
  const lines = result.rows.map(({ name, ...numbers }) => [name, ...Object.values(numbers).map(String)]);
  return [
    `${formatMachine(result.machine)}; ${result.adapter.name}`,
    `a token of ${layers} layers of width ${width} behind a prompt of ${prompt}, medians of ${tokens}`,
    "",
    ...alignColumns([head, ...lines]),
    "",
  ].join("\n");
}
