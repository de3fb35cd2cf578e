/** One dispatch on the device's own clock. */
export interface TraceSpan {
  /** The kernel's label. */
  readonly label: string;
  /** Nanoseconds since the trace's first dispatch began. */
  readonly start: number;
  /** Nanoseconds. */
  readonly duration: number;
}

/** All dispatches of one kernel together; times in nanoseconds. */
export interface TraceTotal {
  readonly label: string;
  readonly count: number;
  readonly total: number;
  readonly mean: number;
  /** Of the time of all kernels, 0 to 1. */
  readonly share: number;
}

/** An event of Chrome's trace format; `ts` and `dur` are microseconds. */
export interface ChromeTraceEvent {
  readonly name: string;
  readonly cat: "gpu";
  readonly ph: "X";
  readonly ts: number;
  readonly dur: number;
  readonly pid: 0;
  /** The track, from 0. */
  readonly tid: number;
}

const NANOSECONDS_PER_MICROSECOND = 1000;

/** Where the device's time went. Every dispatch is a pass of its own while traced, which costs some time of its own. */
export class GpuTrace {
  constructor(readonly spans: readonly TraceSpan[]) {}

  /**
   * For chrome://tracing and Perfetto: write it as JSON. Events come in the order of their beginnings.
   *
   * Passes that do not depend on each other may run at the same time, and viewers cannot draw events of one track that
   * overlap; so each goes to the first track that is free when it begins.
   */
  toChromeTrace(): { readonly traceEvents: readonly ChromeTraceEvent[] } {
    const freeFrom: number[] = [];
    const traceEvents = [...this.spans]
      .sort((a, b) => a.start - b.start)
      .map(({ label, start, duration }): ChromeTraceEvent => {
        const free = freeFrom.findIndex((time) => time <= start);
        const tid = free === -1 ? freeFrom.length : free;
        freeFrom[tid] = start + duration;
        return {
          name: label,
          cat: "gpu",
          ph: "X",
          ts: start / NANOSECONDS_PER_MICROSECOND,
          dur: duration / NANOSECONDS_PER_MICROSECOND,
          pid: 0,
          tid,
        };
      });
    return { traceEvents };
  }

  /** Time by kernel, the longest first. */
  totals(): readonly TraceTotal[] {
    const byLabel = new Map<string, { count: number; total: number }>();
    let all = 0;
    for (const { label, duration } of this.spans) {
      const entry = byLabel.get(label) ?? { count: 0, total: 0 };
      entry.count++;
      entry.total += duration;
      all += duration;
      byLabel.set(label, entry);
    }
    return [...byLabel]
      .map(([label, { count, total }]) => ({
        label,
        count,
        total,
        mean: total / count,
        share: all === 0 ? 0 : total / all,
      }))
      .sort((a, b) => b.total - a.total);
  }

  /** `totals` as lines of text under a heading. */
  table(): string {
    const rows = this.totals().map(({ label, count, total, mean, share }) => [
      label,
      String(count),
      (total / 1e6).toFixed(3),
      (mean / 1e3).toFixed(1),
      (100 * share).toFixed(1),
    ]);
    const lines = [["kernel", "dispatches", "total ms", "mean µs", "%"], ...rows];
    const widths = lines.reduce(
      (widest, cells) => widest.map((width, i) => Math.max(width, cells[i]?.length ?? 0)),
      [0, 0, 0, 0, 0],
    );
    const pad = (cell: string, i: number): string =>
      i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0);
    return lines.map((cells) => cells.map(pad).join("  ").trimEnd()).join("\n");
  }
}
