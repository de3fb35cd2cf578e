import { WinnowError } from "@winnow/core-tensor";
import { idsPart, type Model, type PromptPart } from "@winnow/runtime";

import { drawExample } from "../eval/draw-example";
import { RESERVED, exampleSeed } from "../eval/seeds";
import { needle } from "../eval/tasks/needle";

const DOCUMENT_TOKENS = 256;
/** More documents than a prompt has. */
const DOCUMENTS = 2 ** 12;

/**
 * A prompt of documents one behind the other, in exactly so many tokens; another one for each seed and number.
 *
 * @throws WinnowError `tokenizer` where text is no tokens.
 */
export function promptOf(model: Model, tokens: number, seed: number, number: number): PromptPart {
  const { tokenizer } = model;
  const ids = [...tokenizer.encode("")];
  for (let i = 0; ids.length < tokens; i++) {
    const drawn = exampleSeed(seed, RESERVED.reproduced, number * DOCUMENTS + (i % DOCUMENTS), "calibration");
    const { context } = drawExample(model, needle, drawn, DOCUMENT_TOKENS);
    const more = tokenizer.encode(`${context}\n`, { addSpecial: false });
    if (more.length === 0) throw new WinnowError("tokenizer", `${model.dir}: its tokenizer reads text as no tokens`);
    ids.push(...more);
  }
  return idsPart(tokenizer, ids.slice(0, tokens));
}
