import { connect } from "node:net";

import type { Random } from "./random";

/** Larger than any body that the server takes. */
const LARGE_BYTES = 5 * 2 ** 20;
const REQUEST_MS = 120_000;

/** What a server says to a hostile request; "closed" where it ended the connection without a word. */
export type HostileOutcome = number | "closed";

/** A request that nobody should send. */
export interface Hostile {
  readonly name: string;
  readonly expected: readonly HostileOutcome[];
  readonly send: (url: string, random: Random) => Promise<HostileOutcome>;
}

const CHAT = "/v1/chat/completions";
const MESSAGES = [{ role: "user", content: "Tom is 31 years old. How old is Tom?" }];
const WELL_FORMED = JSON.stringify({ model: "demo", messages: MESSAGES, max_tokens: 8 });

const MALFORMED = ['{"model":"demo","messages":[', "", "\u0000", "nothing", "[".repeat(50_000), '{"model":"demo",}'];

const WRONG_TYPES = [
  { model: 5 },
  { messages: "hello" },
  { messages: [] },
  { messages: [{ role: "user" }] },
  { messages: [{ role: "nobody", content: "hello" }] },
  { stream: "yes" },
  { stop: { a: 1 } },
  { winnow: { policy: "recent(" } },
  { winnow: { plan: "no such plan" } },
  { no_such_field: true },
];

/** As text: JSON has numbers that JavaScript has not. */
const HUGE_NUMBERS = ["max_tokens", "seed", "n", "temperature", "top_k", "top_p"].flatMap((field) =>
  ["1e400", "-1e400", "1e300", "-9007199254740993"].map((number) => `"${field}":${number}`),
);

const UNKNOWN = [
  ["GET", "/v1/nothing"],
  ["GET", "/../../etc/passwd"],
  ["GET", "/%00%ff"],
  ["DELETE", CHAT],
  ["PUT", "/slots"],
  ["GET", `/${"x".repeat(4000)}`],
] as const;

export const HOSTILES: readonly Hostile[] = [
  { name: "malformed JSON", expected: [400], send: (url, random) => post(url, random.choose(MALFORMED)) },
  {
    name: "wrong types",
    // Who has no room to answer does not look at a policy.
    expected: [400, 404, 429],
    send: (url, random) =>
      post(url, JSON.stringify({ model: "demo", messages: MESSAGES, ...random.choose(WRONG_TYPES) })),
  },
  {
    name: "huge numbers",
    expected: [400],
    send: (url, random) => post(url, `${WELL_FORMED.slice(0, -1)},${random.choose(HUGE_NUMBERS)}}`),
  },
  {
    name: "a prompt longer than the context",
    expected: [400],
    send: (url) =>
      post(url, JSON.stringify({ model: "demo", messages: [{ role: "user", content: "barn ".repeat(3000) }] })),
  },
  {
    name: "a body of 5 MiB",
    expected: [413],
    send: (url) => post(url, JSON.stringify({ model: "demo", padding: "x".repeat(LARGE_BYTES) })),
  },
  {
    name: "a body of 5 MiB in chunks",
    expected: [413],
    send: (url) => post(url, inChunks()),
  },
  {
    name: "a body that is no JSON",
    expected: [415],
    send: (url) => request(`${url}${CHAT}`, { method: "POST", headers: { "content-type": "text/plain" }, body: "hi" }),
  },
  {
    name: "unknown routes",
    expected: [404, 405],
    send: (url, random) => {
      const [method, path] = random.choose(UNKNOWN);
      return request(`${url}${path}`, { method });
    },
  },
  {
    name: "half a body",
    expected: ["closed"],
    send: (url, random) => {
      const head = `POST ${CHAT} HTTP/1.1\r\nhost: ${new URL(url).host}\r\ncontent-type: application/json\r\n`;
      return hangUp(url, `${head}content-length: ${WELL_FORMED.length}\r\n\r\n${WELL_FORMED.slice(0, 40)}`, random);
    },
  },
  {
    name: "half of the headers",
    expected: ["closed"],
    send: (url, random) => hangUp(url, `POST ${CHAT} HTTP/1.1\r\nhost: ${new URL(url).host}\r\ncontent-`, random),
  },
  {
    name: "no HTTP",
    expected: ["closed"],
    send: (url, random) => hangUp(url, "\u0016\u0003\u0001 hello\r\n\r\n", random),
  },
];

function post(url: string, body: string | AsyncIterable<Uint8Array>): Promise<HostileOutcome> {
  return request(`${url}${CHAT}`, { method: "POST", headers: { "content-type": "application/json" }, body });
}

async function request(url: string, init: RequestInit): Promise<HostileOutcome> {
  try {
    const streamed = typeof init.body === "object" ? { duplex: "half" as const } : {};
    const response = await fetch(url, { ...init, ...streamed, signal: AbortSignal.timeout(REQUEST_MS) });
    await response.arrayBuffer().catch(() => undefined);
    return response.status;
  } catch (error) {
    if (error instanceof Error && error.name === "TimeoutError") throw error;
    return "closed";
  }
}

async function* inChunks(): AsyncGenerator<Uint8Array, void, undefined> {
  const chunk = new Uint8Array(2 ** 18).fill(120);
  for (let sent = 0; sent < LARGE_BYTES; sent += chunk.length) yield await Promise.resolve(chunk);
}

/** Send a beginning, and go away after a moment. */
function hangUp(url: string, text: string, random: Random): Promise<HostileOutcome> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port) }, () => {
      socket.write(text);
      setTimeout(
        () => {
          socket.destroy();
        },
        random.whole(0, 100),
      );
    });
    socket.on("error", () => undefined);
    // What the server says is of no interest to one who has gone.
    socket.resume();
    socket.on("close", () => {
      resolve("closed");
    });
  });
}
