import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { failureOf } from "../files/testing/failure";
import { ChatTemplate, type ChatMessage } from "../tokenizer";
import { loadChatTemplate } from "../tokenizer/load-tokenizer";
import { DEMO } from "../testing/models";
import { Conversation, conversationTexts } from "./conversation";

const loaded = await loadChatTemplate(DEMO);
if (loaded === null) throw new Error("the demo model has a chat template");
const demo: ChatTemplate = loaded;

/** As most models write turns: a line for the role, and one for the end. */
const chatMl = new ChatTemplate(
  "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
);

/** Turns without roles, as older models write them: a user's turn and its answer share one. */
const paired = new ChatTemplate(
  "{% for m in messages %}{% if m['role'] == 'assistant' %}{{ ' ' + m['content'] + '</s>' }}{% else %}{{ '<s>[' + m['role'] + '] ' + m['content'] + ' [/' + m['role'] + ']' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ ' ' }}{% endif %}",
);

/** Nothing but the newest message: what came before is written anew each time. */
const forgetful = new ChatTemplate("{{ messages[-1]['role'] }}: {{ messages[-1]['content'] }}");

const shouting = new ChatTemplate("{% for m in messages %}[{{ m['content'] | upper }}]{% endfor %}");

const content = fc
  .oneof(
    fc.string({ minLength: 1, maxLength: 20 }),
    fc.constantFrom("Why?\n", "é\n\n b", "user", "}}", "Repeat the text."),
  )
  .filter((text) => text.trim() !== "");
const turn = fc.record({ question: content, then: fc.option(content, { nil: undefined }), answer: fc.string() });

describe.each([
  { name: "the demo model's template", template: demo },
  { name: "ChatML", template: chatMl },
])("a conversation behind $name", ({ template }) => {
  it("is the template's own text, piece by piece", () => {
    fc.assert(
      fc.property(fc.option(content), fc.array(turn, { minLength: 1, maxLength: 4 }), (system, turns) => {
        const conversation = new Conversation(template);
        if (system !== null) conversation.system(system);
        let text = "";
        for (const { question, then, answer } of turns) {
          const { system: head, segments } = conversation.ask(question, then);
          expect(head === null).toBe(system === null || text !== "");
          text += (head?.text ?? "") + segments.join("");
          expect(text).toBe(template.render(conversation.messages));
          text += answer + conversation.answered(answer);
        }
        expect(text).toBe(template.render(conversation.messages, { addGenerationPrompt: false }));
      }),
    );
  });

  it("goes on from its messages as if it had never been interrupted", () => {
    fc.assert(
      fc.property(turn, turn, (first, second) => {
        const conversation = new Conversation(template);
        conversation.ask(first.question, first.then);
        conversation.answered(first.answer);
        const later = new Conversation(template, [...conversation.messages]);
        expect(later.ask(second.question, second.then)).toEqual(conversation.ask(second.question, second.then));
      }),
    );
  });

  it("reads a message up to its end, before what is asked about it", () => {
    fc.assert(
      fc.property(content, content, (question, then) => {
        const { segments, subject } = new Conversation(template).ask(question, then);
        const [first = "", second = ""] = segments;
        expect(segments).toHaveLength(2);
        expect(first.endsWith(question)).toBe(true);
        expect(second.startsWith(`\n\n${then}`)).toBe(true);
        expect(subject).toBe(question);
      }),
    );
  });

  it("is as it was when a question is taken back", () => {
    fc.assert(
      fc.property(turn, content, ({ question, answer }, other) => {
        const conversation = new Conversation(template);
        conversation.ask(question);
        conversation.answered(answer);
        const before = [...conversation.messages];
        const expected = conversation.ask(other);
        conversation.retract();
        expect(conversation.messages).toEqual(before);
        conversation.retract();
        expect(conversation.messages).toEqual(before);
        expect(conversation.ask(other)).toEqual(expected);
      }),
    );
  });
});

describe("a conversation", () => {
  it("asks for the text again as a user would in the next turn", () => {
    const conversation = new Conversation(chatMl);
    const request = "<|im_start|>user\nRepeat the text.<|im_end|>\n<|im_start|>assistant\n";
    expect(conversation.ask("Hi").request).toBe(request);
    conversation.answered("Ho");
    expect(conversation.ask("Repeat the text.").request).toBe(request);
    expect(new Conversation(demo).ask("Hi").request).toBe("<|user|>Repeat the text.<|end|><|assistant|>");
  });

  it("says what closes an answer that the template has closed", () => {
    const conversation = new Conversation(demo);
    conversation.ask("Hi");
    expect(conversation.answered("Ho")).toBe("<|end|>");
    const old = new Conversation(paired);
    expect(old.ask("Hi").segments).toEqual(["<s>[user] Hi [/user] "]);
    expect(old.answered("Ho")).toBe("</s>");
    expect(old.ask("Ha").segments).toEqual(["<s>[user] Ha [/user] "]);
  });

  it("reads the system message with the first question, and never again", () => {
    const conversation = new Conversation(demo);
    conversation.system("Be brief.");
    expect(conversation.ask("Hi")).toEqual({
      system: {
        text: "<s><|system|>Be brief.<|end|>",
        subject: "Be brief.",
        request: "<|user|>Repeat the text.<|end|><|assistant|>",
      },
      segments: ["<|user|>Hi<|end|><|assistant|>"],
      subject: "Hi",
      request: "<|user|>Repeat the text.<|end|><|assistant|>",
    });
    conversation.answered("Ho");
    expect(conversation.ask("Ha")).toMatchObject({ system: null, segments: ["<|user|>Ha<|end|><|assistant|>"] });
  });

  it("takes a system message only at its beginning, an empty one too", async () => {
    const conversation = new Conversation(demo);
    conversation.system("");
    expect(conversation.messages).toEqual([{ role: "system", content: "" }]);
    for (const begun of [conversation, new Conversation(demo, [{ role: "user", content: "Hi" }])]) {
      const before = [...begun.messages];
      expect(
        await failureOf(() => {
          begun.system("Be brief.");
        }),
      ).toMatchObject({ code: "usage" });
      expect(begun.messages).toEqual(before);
    }
  });

  it.each(["", " ", "\n\t "])("has no empty question: %j", async (empty) => {
    const conversation = new Conversation(demo);
    const error = await failureOf(() => conversation.ask(empty));
    expect(error).toMatchObject({ code: "prompt", message: "the prompt is empty; give at least one character" });
    expect(conversation.messages).toEqual([]);
  });

  it("may have an empty answer, and one that spells out special tokens", () => {
    const conversation = new Conversation(demo);
    conversation.ask("Hi");
    expect(conversation.answered("")).toBe("<|end|>");
    conversation.ask("Ha <|end|>");
    expect(conversation.answered("<|end|><|user|>")).toBe("<|end|>");
    expect(conversation.ask("Ho").segments).toEqual(["<|user|>Ho<|end|><|assistant|>"]);
  });

  it("cannot go on behind a template that writes earlier turns anew", async () => {
    const conversation = new Conversation(forgetful);
    expect(conversation.ask("Hi").segments).toEqual(["user: Hi"]);
    conversation.answered("Ho");
    const error = await failureOf(() => conversation.ask("Ha"));
    expect(error.code).toBe("tokenizer");
    expect(error.message).toMatch(/rewrites an earlier turn/);
  });

  it("cannot read a message in two parts behind a template that changes it", async () => {
    expect(new Conversation(shouting).ask("Hi").segments).toEqual(["[HI]"]);
    const error = await failureOf(() => new Conversation(shouting).ask("Hi", "Why?"));
    expect(error.code).toBe("tokenizer");
    expect(error.message).toMatch(/changes the message's text/);
  });

  it("says why a template refuses it", async () => {
    const strict = new ChatTemplate(
      "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}{{ m['content'] }}{% endfor %}",
    );
    const conversation = new Conversation(strict);
    conversation.system("Be brief.");
    const error = await failureOf(() => conversation.ask("Hi"));
    expect(error.code).toBe("tokenizer");
    expect(error.message).toMatch(/no system role/);
    expect(conversation.messages).toHaveLength(1);
  });

  it("finds its place in what a template has trimmed", () => {
    const trimming = new ChatTemplate(
      "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] | trim }}<end>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}",
    );
    const conversation = new Conversation(trimming);
    expect(conversation.ask(" Ha", "why\n").segments).toEqual(["<user>Ha", "\n\nwhy<end><assistant>"]);
    expect(conversation.answered("Ho\n")).toBe("<end>");
    expect(conversation.ask("Hi").segments).toEqual(["<user>Hi<end><assistant>"]);
  });

  it("is read whole where nothing was read of it, and ends the system message where that is all a template says", () => {
    fc.assert(
      fc.property(fc.option(content), fc.array(content, { minLength: 1, maxLength: 5 }), (system, turns) => {
        const messages: ChatMessage[] = turns.map((text, i) => ({
          role: i % 2 === 0 ? "user" : "assistant",
          content: text,
        }));
        if (system !== null) messages.unshift({ role: "system", content: system });
        const texts = conversationTexts(chatMl, messages);
        expect(`${texts.system?.text ?? ""}${texts.segments.join("")}`).toBe(chatMl.render(messages));
        expect(texts.system?.text ?? null).toBe(system === null ? null : `<|im_start|>system\n${system}<|im_end|>\n`);
        // A probe replays every message once: those of the system's part behind that, all others behind the rest.
        const replayed = [...(texts.system === null ? [] : [texts.system.subject]), texts.subject];
        expect(replayed.join("\n\n")).toBe(messages.map(({ content: said }) => said).join("\n\n"));
      }),
    );
  });

  it("is replayed only as far as it is read: as it stands where a template drops what was said", () => {
    const forgetful = new ChatTemplate(
      "{% for m in messages %}<{{ m['role'] }}>{{ m['content'].split('</think>')[-1] | trim }}<end>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}",
    );
    const question = { role: "user", content: "Why? " } as const;
    const thought = { role: "assistant", content: "long thoughts</think>So." } as const;
    const { subject, segments } = conversationTexts(forgetful, [question, thought, question]);
    expect(segments).toEqual(["<user>Why?<end><assistant>So.<end><user>Why?<end><assistant>"]);
    expect(subject).toBe(segments[0]);
    expect(conversationTexts(forgetful, [question, { role: "assistant", content: "So. " }, question]).subject).toBe(
      "Why?\n\nSo.\n\nWhy?",
    );
  });

  it("is asked for in words of one's own", () => {
    const messages = [
      { role: "system", content: "Be brief." },
      { role: "user", content: "Hi" },
    ] as const;
    const { system, request } = conversationTexts(demo, messages, "Again?");
    const asked = "<|user|>Again?<|end|><|assistant|>";
    expect([system?.request, request]).toEqual([asked, asked]);
    const conversation = new Conversation(demo, [], "Again?");
    conversation.system("Be brief.");
    expect(conversation.ask("Hi")).toMatchObject({ system: { request: asked }, request: asked });
  });

  it.each([
    [
      "wants a user's message",
      "{% if messages | length == 1 and messages[0]['role'] == 'system' %}{{ raise_exception('no user') }}{% endif %}",
    ],
    ["begins with the newest message", "{{ messages[-1]['content'] }}"],
  ])("has no head of its own behind a template that %s", (_, begin) => {
    const template = new ChatTemplate(`${begin}{% for m in messages %}[{{ m['content'] }}]{% endfor %}`);
    const messages = [{ role: "system", content: "Be brief." } as const, { role: "user", content: "Hi" } as const];
    const { system, segments } = conversationTexts(template, messages);
    expect(system).toBeNull();
    expect(segments).toEqual([template.render(messages)]);
  });

  it("has to ask something", async () => {
    for (const messages of [
      [],
      [{ role: "system", content: "Be brief." }],
      [{ role: "user", content: " " }],
    ] as const) {
      expect(await failureOf(() => conversationTexts(demo, messages))).toMatchObject({ code: "prompt" });
    }
  });

  it("keeps its messages from whoever gave them", () => {
    const messages = [{ role: "user", content: "Hi" }] as const;
    const conversation = new Conversation(demo, messages);
    conversation.answered("Ho");
    expect(messages).toHaveLength(1);
    expect(conversation.messages).toHaveLength(2);
  });
});
