import { WinnowError } from "@winnow/core-tensor";
import { idsPart, type Model, type PromptPart } from "@winnow/runtime";

import { drawExample } from "../eval/draw-example";
import { exampleSeed } from "../eval/seeds";
import { needle } from "../eval/tasks/needle";

const DOCUMENT_TOKENS = 256;
/** Of seeds, so that no task has these documents. */
const OWN_TASK = 31;

/** A prompt of exactly so many tokens, of documents one behind the other; another one for each number. */
export function promptOf(model: Model, tokens: number, number: number): PromptPart {
  const { tokenizer } = model;
  const ids = [...tokenizer.encode("")];
  for (let i = 0; ids.length < tokens; i++) {
    const seed = exampleSeed(number, OWN_TASK, i, "calibration");
    const { context } = drawExample(model, needle, seed, DOCUMENT_TOKENS);
    const more = tokenizer.encode(`${context}\n`, { addSpecial: false });
    if (more.length === 0) throw new WinnowError("tokenizer", `${model.dir}: its tokenizer reads text as no tokens`);
    ids.push(...more);
  }
  return idsPart(tokenizer, ids.slice(0, tokens));
}
