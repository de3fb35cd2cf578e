import { amountOf, formatAmount, type Amount, type AmountLike } from "./amount";
import type { LayerView, ModelView, StrategyPlugin } from "./plugin";
import { adoptPolicy, callPlugin, pluginError } from "./plugin-call";
import { describe } from "./plugin-check";
import type { Policy } from "./policy";
import type { PolicyNames } from "./policy-parser";
import type { PresetRows } from "./presets";

/** A strategy with its amounts, whose failures are typed errors. */
export class Strategy {
  /**
   * @param given the amounts that stand in its text.
   */
  constructor(
    private readonly plugin: StrategyPlugin,
    private readonly names: PolicyNames,
    private readonly given: readonly Amount[] = [],
  ) {}

  get name(): string {
    return this.plugin.name;
  }

  /** The name with its amounts, as it would be typed. */
  get text(): string {
    return this.given.length === 0 ? this.name : `${this.name}(${this.given.map(formatAmount).join(", ")})`;
  }

  /** Where the method comes from; null where its plug-in does not say. */
  get source(): string | null {
    return this.plugin.source ?? null;
  }

  /** What each head may keep unless told otherwise; null where it has no budget. */
  get budget(): Amount | null {
    return this.plugin.budget === undefined ? null : amountOf(this.plugin.budget);
  }

  /** Columns that it reads. */
  get needs(): readonly string[] {
    return this.plugin.needs;
  }

  get rows(): PresetRows {
    return this.plugin.rows ?? "prompt";
  }

  get generated(): "sweep" | "keep" {
    return this.plugin.generated ?? "sweep";
  }

  /** Whether layers have to wait for each other. */
  get scope(): "layer" | "model" {
    return this.plugin.scope ?? "layer";
  }

  /** The most amounts that it takes. */
  get parameters(): number {
    return this.plugin.budget === undefined ? Infinity : 1;
  }

  /** The same with another budget; null where it has none. */
  get withBudget(): ((x: AmountLike) => Strategy) | null {
    if (this.plugin.budget === undefined) return null;
    return (x) => this.withAmounts([amountOf(x)]);
  }

  withAmounts(amounts: readonly Amount[]): Strategy {
    return new Strategy(this.plugin, this.names, amounts);
  }

  /**
   * @returns one policy a head.
   * @throws WinnowError `plugin` when the strategy throws, does not give one policy a head, or has to see the whole model.
   */
  decide(layer: LayerView): readonly Policy[] {
    const { plugin } = this;
    const what = `decide(layer ${layer.layer})`;
    if (plugin.scope === "model") throw pluginError(plugin, `${what}: it decides over a whole model`);
    const decided: unknown = callPlugin(plugin, what, () => plugin.decide(layer, ...this.#amounts));
    return this.#adopt(what, decided, layer);
  }

  /**
   * @returns one policy a head, by layer.
   * @throws WinnowError `plugin` when the strategy throws, or does not give one policy a head.
   */
  decideModel(model: ModelView): readonly (readonly Policy[])[] {
    const { plugin } = this;
    if (plugin.scope !== "model") return model.layers.map((layer) => this.decide(layer));
    const decided: unknown = callPlugin(plugin, "decide", () => plugin.decide(model, ...this.#amounts));
    const layers: readonly unknown[] = Array.isArray(decided) ? decided : [];
    if (layers.length !== model.layers.length) {
      throw pluginError(
        plugin,
        `decide gave ${describe(decided)}; expected an array of ${model.layers.length} arrays of policies, one for each layer`,
      );
    }
    return model.layers.map((layer, l) => this.#adopt(`decide, layer ${l}`, layers[l], layer));
  }

  get #amounts(): ReturnType<typeof amountOf>[] {
    const { budget } = this.plugin;
    const amounts = this.given.length === 0 && budget !== undefined ? [budget] : this.given;
    return amounts.map(amountOf);
  }

  #adopt(what: string, decided: unknown, { heads }: LayerView): readonly Policy[] {
    if (!Array.isArray(decided) || decided.length !== heads.length) {
      throw pluginError(
        this.plugin,
        `${what} gave ${describe(decided)}; expected an array of ${heads.length} policies, one for each head`,
      );
    }
    return decided.map((value: unknown, head) => adoptPolicy(this.plugin, `${what}, head ${head},`, value, this.names));
  }
}
