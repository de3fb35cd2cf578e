import type { AmountLike } from "./amount";
import type { LayerView, ModelView, StrategyPlugin } from "./plugin";
import { adoptPolicy, callPlugin, pluginError } from "./plugin-call";
import { describe } from "./plugin-check";
import type { Policy } from "./policy";
import type { PresetRows } from "./presets";
import type { PolicyNames } from "./policy-parser";

/** A strategy whose failures are typed errors. */
export class Strategy {
  constructor(
    private readonly plugin: StrategyPlugin,
    private readonly names: PolicyNames,
  ) {}

  get name(): string {
    return this.plugin.name;
  }

  /** Columns that it reads. */
  get needs(): readonly string[] {
    return this.plugin.needs;
  }

  get text(): string {
    return this.plugin.name;
  }

  get rows(): PresetRows {
    return "prompt";
  }

  get generated(): "sweep" | "keep" {
    return "sweep";
  }

  get scope(): "layer" | "model" {
    return "layer";
  }

  get withBudget(): ((x: AmountLike) => Strategy) | null {
    return null;
  }

  decideModel(model: ModelView): readonly (readonly Policy[])[] {
    return model.layers.map((layer) => this.decide(layer));
  }

  /**
   * @returns one policy a head.
   * @throws WinnowError `plugin` when the strategy throws, or does not give one policy a head.
   */
  decide(layer: LayerView): readonly Policy[] {
    const what = `decide(layer ${layer.layer})`;
    const decided: unknown = callPlugin(this.plugin, what, () => this.plugin.decide(layer));
    if (!Array.isArray(decided) || decided.length !== layer.heads.length) {
      throw pluginError(
        this.plugin,
        `${what} gave ${describe(decided)}; expected an array of ${layer.heads.length} policies, one for each head`,
      );
    }
    return decided.map((value: unknown, head) => adoptPolicy(this.plugin, `${what}, head ${head},`, value, this.names));
  }
}
