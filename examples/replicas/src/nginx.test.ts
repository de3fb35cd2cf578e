import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { findService } from "../../../tools/debian-services/service.ts";

import { startNginx } from "./nginx";
import { startReplica, type Replica } from "./replica";

const service = findService("nginx");

describe.skipIf(service === null)("nginx.conf", () => {
  let one: Replica;
  let two: Replica;
  let nginx: Awaited<ReturnType<typeof startNginx>>;
  const close: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    if (service === null) return;
    [one, two] = await Promise.all([startReplica("one"), startReplica("two")]);
    close.push(() => stop(one));
    close.push(() => stop(two));
    nginx = await startNginx(service, [one.port, two.port]);
    close.push(() => stop(nginx));
  });
  afterAll(async () => {
    for (const end of close.reverse()) await end();
  });

  /** Which replica has answered. */
  async function answeredBy(body: object, path = "/v1/chat/completions"): Promise<string> {
    const headers = { "content-type": "application/json" };
    const response = await fetch(`${nginx.url}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    return nameIn(await response.text(), response.status);
  }

  async function answers(bodies: readonly object[]): Promise<string[]> {
    const names: string[] = [];
    for (const body of bodies) names.push(await answeredBy(body));
    return names;
  }

  const some = (count: number, body: (n: number) => object): object[] =>
    Array.from({ length: count }, (_, n) => body(n));
  const message = (role: string, content: string): object => ({ role, content });
  const chat = (...messages: readonly object[]): object => ({ model: "demo", messages });

  it("keeps a session to one replica, and spreads sessions", async () => {
    const homes = await answers(some(24, (n) => ({ ...chat(message("user", "Hi")), winnow: { session: `s${n}` } })));
    expect(new Set(homes)).toEqual(new Set(["one", "two"]));
    for (const turn of ["And then?", "x".repeat(300_000)]) {
      const again = some(24, (n) => ({ winnow: { policy: "full", session: `s${n}` }, ...chat(message("user", turn)) }));
      expect(await answers(again)).toEqual(homes);
    }
  });

  it("is not misled by a prompt that speaks of sessions", async () => {
    const text = 'He wrote {"session": "tom"}, and left. ';
    const homes = await answers(some(16, (n) => chat(message("user", `${n}. ${text}`))));
    expect(new Set(homes)).toEqual(new Set(["one", "two"]));
  });

  it("keeps prompts that begin alike to one replica, and spreads others", async () => {
    const system = "You answer briefly. ".repeat(80);
    const alike = await answers(some(12, (n) => chat(message("system", system), message("user", `Question ${n}`))));
    expect(new Set(alike).size).toBe(1);
    const others = await answers(some(24, (n) => chat(message("system", `${n}. ${system}`), message("user", "Hi"))));
    expect(new Set(others)).toEqual(new Set(["one", "two"]));
    const completions = await answers(some(24, (n) => ({ model: "demo", prompt: `${n}. ${system}` })));
    expect(new Set(completions)).toEqual(new Set(["one", "two"]));
  });

  it("keeps a chat that grows to one replica, without a session", async () => {
    for (let n = 0; n < 8; n++) {
      const first = [message("system", "Be brief."), message("user", `Tom is ${n} years old and says "hi".`)];
      const second = [...first, message("assistant", "Noted."), message("user", "How old is Tom?")];
      const [before, after] = await answers([chat(...first), chat(...second)]);
      expect(after).toBe(before);
    }
  });

  it("passes a stream on as it comes", async () => {
    const response = await fetch(`${nginx.url}/stream`, { method: "POST", body: "{}" });
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    // The replica sends no more before it is told to.
    expect((await reader?.read())?.value).toBe("data: first\n\n");
    one.release();
    two.release();
    expect((await reader?.read())?.value).toBe("data: second\n\n");
    expect((await reader?.read())?.done).toBe(true);
  });

  it("takes a batch's input, which is larger than other bodies may be", async () => {
    const large = new Uint8Array(20 * 2 ** 20);
    const taken = await fetch(`${nginx.url}/v1/files`, { method: "POST", body: large });
    expect(await taken.json()).toMatchObject({ bytes: large.length });
    const refused = await fetch(`${nginx.url}/v1/chat/completions`, { method: "POST", body: large }).then(
      ({ status }) => status,
      () => "closed",
    );
    expect([413, "closed"]).toContain(refused);
  });

  it("calls a replica by the name and port that the client did, as pages of its own do", async () => {
    const answer = await fetch(`${nginx.url}/v1/models`);
    expect(await answer.json()).toMatchObject({ host: new URL(nginx.url).host });
  });

  it("shows the world no metrics of one replica", async () => {
    expect((await fetch(`${nginx.url}/metrics`)).status).toBe(404);
    expect((await fetch(`${nginx.url}/health`)).status).toBe(200);
  });

  // Last, for nginx leaves out for a while what was away.
  it("asks the other replica while one is away", async () => {
    const bodies = some(24, (n) => ({ ...chat(message("user", "Hi")), winnow: { session: `s${n}` } }));
    const before = await answers(bodies);
    await one[Symbol.asyncDispose]();
    expect(new Set(await answers(bodies))).toEqual(new Set(["two"]));
    one = await startReplica("one", one.port);
    await expect.poll(() => answers(bodies), { timeout: 15_000, interval: 500 }).toEqual(before);
  });
});

async function stop(running: AsyncDisposable): Promise<void> {
  await running[Symbol.asyncDispose]();
}

function nameIn(text: string, status: number): string {
  const answer: unknown = status === 200 ? JSON.parse(text) : null;
  if (typeof answer === "object" && answer !== null && "name" in answer) return String(answer.name);
  throw new Error(`expected a replica's answer, found ${status}: ${text}`);
}
