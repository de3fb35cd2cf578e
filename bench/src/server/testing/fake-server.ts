import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";

import { z } from "zod";

/** What a fake server does wrong once it has answered as many requests as it is to be right about. */
export type Fault = "none" | "mixes answers up" | "breaks streams off" | "keeps bytes" | "exceeds the budget";

const BUDGET = 1000;
const asked = z.object({
  messages: z.array(z.object({ content: z.string() })).min(1),
  max_tokens: z.int(),
  stream: z.boolean().default(false),
});

/** Answers like `winnow serve` as far as a load test looks, by repeating the code that a document tells. */
export class FakeServer implements AsyncDisposable {
  #answered = 0;
  #last = "";

  private constructor(
    readonly url: string,
    private readonly server: Server,
    private readonly fault: Fault,
    private readonly rightAtFirst: number,
  ) {
    server.on("request", (request, response) => {
      this.#answer(request, response).catch(() => {
        response.destroy();
      });
    });
  }

  static async start(fault: Fault, rightAtFirst: number): Promise<FakeServer> {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    if (address === null || typeof address === "string") throw new RangeError("the fake server has no port");
    return new FakeServer(`http://127.0.0.1:${address.port}`, server, fault, rightAtFirst);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body: Buffer[] = [];
    for await (const chunk of request) if (chunk instanceof Buffer) body.push(chunk);
    const known = this.#known(request.url ?? "");
    if (known !== null) {
      response.end(known);
      return;
    }
    const text = Buffer.concat(body).toString();
    const question = asked.safeParse(json(text));
    if (request.url !== "/v1/chat/completions") refuse(response, 404);
    else if (body.length > 0 && request.headers["content-type"] !== "application/json") refuse(response, 415);
    else if (text.length > 4 * 2 ** 20) refuse(response, 413);
    else if (!question.success || text.length > 10_000) refuse(response, 400);
    else this.#write(response, question.data);
  }

  #known(path: string): string | null {
    switch (path) {
      case "/health":
        return "{}";
      case "/metrics":
        return "process_resident_memory_bytes 1000000\n";
      case "/slots":
        return JSON.stringify(this.#slots());
      default:
        return null;
    }
  }

  #write(response: ServerResponse, { messages, stream }: z.infer<typeof asked>): void {
    const isRight = this.#answered++ < this.rightAtFirst;
    const own = /is (\d+)\./.exec(messages.at(-1)?.content ?? "")?.[1] ?? "";
    const said = this.fault === "mixes answers up" && !isRight ? this.#last : own;
    this.#last = own;
    const usage = { prompt_tokens: 9, completion_tokens: 2, prompt_tokens_details: { cached_tokens: 0 } };
    const content = `The code is ${said}.`;
    if (!stream) {
      const choices = [{ message: { content }, finish_reason: "stop" }];
      response.end(JSON.stringify({ id: "a", choices, usage }));
      return;
    }
    const send = (data: object): unknown => response.write(`data: ${JSON.stringify({ id: "a", ...data })}\n\n`);
    send({ choices: [{ delta: { content }, finish_reason: null }] });
    if (this.fault === "breaks streams off" && !isRight) {
      response.end();
      return;
    }
    send({ choices: [{ delta: {}, finish_reason: "stop" }] });
    send({ choices: [], usage });
    response.end("data: [DONE]\n\n");
  }

  #slots(): object {
    const later = this.#answered > this.rightAtFirst;
    const bytes =
      later && this.fault === "keeps bytes" ? 500 : later && this.fault === "exceeds the budget" ? BUDGET + 1 : 0;
    const prefixes = { entries: 0, bytes: 0 };
    return { backend: "fake", cache: { budgetBytes: BUDGET, reservedBytes: bytes, bytes, prefixes }, slots: [] };
  }
}

function refuse(response: ServerResponse, status: number): void {
  response.statusCode = status;
  response.end("{}");
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
