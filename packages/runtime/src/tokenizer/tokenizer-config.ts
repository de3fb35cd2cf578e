import { z } from "zod";

/** A token with a role: its text, or an object around it. */
const roleSchema = z.union([z.string(), z.looseObject({ content: z.string() })], "expected a token").nullish();

const templateSchema = z
  .union(
    [z.string(), z.array(z.object({ name: z.string(), template: z.string() }))],
    "expected a template or a list of named ones",
  )
  .nullish();

/** What Winnow reads of `tokenizer_config.json`; the tokenizer library reads more. */
export const tokenizerConfigSchema = z.looseObject({
  bos_token: roleSchema,
  eos_token: roleSchema,
  unk_token: roleSchema,
  pad_token: roleSchema,
  chat_template: templateSchema,
});
export type TokenizerConfig = z.output<typeof tokenizerConfigSchema>;

const ROLES = ["bos_token", "eos_token", "unk_token", "pad_token"] as const;

/** The texts of the tokens with a role, by the names that chat templates use. */
export type NamedTokens = Readonly<Partial<Record<(typeof ROLES)[number], string>>>;

export function namedTokens(config: TokenizerConfig): NamedTokens {
  const named: Partial<Record<(typeof ROLES)[number], string>> = {};
  for (const role of ROLES) {
    const token = config[role];
    if (token != null) named[role] = typeof token === "string" ? token : token.content;
  }
  return named;
}
