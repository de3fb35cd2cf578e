import type { HeadView } from "./head-view";
import type { HostStatistic } from "./plugin";
import { callPlugin, pluginError } from "./plugin-call";
import { describe } from "./plugin-check";

/** A statistic that is a function on the host, whose failures are typed errors. */
export class ComputedStatistic {
  constructor(
    private readonly plugin: HostStatistic,
    /** Whether it is one of this library's, which say where they are computed. */
    readonly builtIn = false,
  ) {}

  get name(): string {
    return this.plugin.name;
  }

  /** Columns that it reads, and what else of the views. */
  get needs(): readonly string[] {
    return this.plugin.needs;
  }

  /**
   * @returns one value a slot.
   * @throws WinnowError `plugin` when the function throws, or does not give one number a slot.
   */
  compute(head: HeadView, layer: readonly HeadView[]): Float32Array {
    const values: unknown = callPlugin(this.plugin, "compute", () => this.plugin.compute(head, layer));
    if (!(values instanceof Float32Array) || values.length !== head.count) {
      const found = values instanceof Float32Array ? `${values.length} values` : describe(values);
      throw pluginError(
        this.plugin,
        `compute gave ${found}; expected a Float32Array with one value for each of ${head.count} slots`,
      );
    }
    return values;
  }
}
