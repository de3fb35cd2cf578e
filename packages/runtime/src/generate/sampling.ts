import { WinnowError, type SamplingParams } from "@winnow/core-tensor";

/** What a request may say about how tokens are drawn; the rest comes from the model's `generation_config.json`. */
export type SamplingOptions = { readonly [Name in keyof SamplingParams]?: SamplingParams[Name] | undefined };

const RULES: {
  readonly [Name in keyof SamplingParams]: { readonly fits: (x: number) => boolean; readonly rule: string };
} = {
  temperature: { fits: (x) => x >= 0, rule: "a number of at least 0" },
  topK: { fits: (x) => Number.isInteger(x) && x >= 0, rule: "a whole number of at least 0 (0 for no limit)" },
  topP: { fits: (x) => x > 0 && x <= 1, rule: "in (0, 1]" },
  minP: { fits: (x) => x >= 0 && x < 1, rule: "in [0, 1)" },
  repetitionPenalty: { fits: (x) => x > 0, rule: "above 0" },
  seed: { fits: (x) => Number.isInteger(x) && x >= 0 && x <= 0xffffffff, rule: "a whole number from 0 to 4294967295" },
};

/**
 * Fill the gaps of a request from the model's defaults.
 *
 * @throws WinnowError `usage` naming the option, what was given and its range.
 */
export function resolveSampling(options: SamplingOptions, defaults: SamplingParams): SamplingParams {
  const value = (name: keyof SamplingParams): number => {
    const given = options[name] ?? defaults[name];
    const { fits, rule } = RULES[name];
    if (!Number.isFinite(given) || !fits(given)) {
      throw new WinnowError("usage", `${name} is ${given}; expected ${rule}`);
    }
    return given;
  };
  return {
    temperature: value("temperature"),
    topK: value("topK"),
    topP: value("topP"),
    minP: value("minP"),
    repetitionPenalty: value("repetitionPenalty"),
    seed: value("seed"),
  };
}
