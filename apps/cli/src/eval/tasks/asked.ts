import type { Document } from "../world/document";
import type { Example } from "./task";

/** A document, and a question about the fact that it has in any case. */
export function asked({ text, facts: [fact] }: Document, system: string | null = null): Example {
  const { question = "", answer = "" } = fact ?? {};
  return { system, context: text, turns: [{ question, answer }] };
}
