import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { EventStreamParser, eventData } from "./event-stream";

function parse(...pieces: string[]): string[] {
  const parser = new EventStreamParser();
  return pieces.flatMap((piece) => parser.push(piece));
}

describe("events", () => {
  test.each([
    ["data: a\n\n", ["a"]],
    ["data:a\n\ndata:  b\n\n", ["a", " b"]],
    ["data: a\r\n\r\ndata: b\r\rdata: c\n\n", ["a", "b", "c"]],
    ["data: a\ndata: b\ndata\n\n", ["a\nb\n"]],
    [": a comment\ndata: a\n: another\n\n:\n\n", ["a"]],
    ["event: x\nid: 7\nretry: 9\ndata: a\n\nevent: y\n\n", ["a"]],
    ["\uFEFFdata: a\n\n", ["a"]],
    ["dataset: a\n\n", []],
    ["data: unfinished\n", []],
    ["\n\n\r\n", []],
  ])("%j", (text, expected) => {
    expect(parse(text)).toEqual(expected);
    expect(parse(...Array.from(text))).toEqual(expected);
  });

  test("a CRLF cut in two ends one line", () => {
    expect(parse("data: a\r", "\ndata: b\r", "\n\r", "\n")).toEqual(["a\nb"]);
  });

  test("cut anywhere, the same events come", async () => {
    const line = fc.constantFrom("data: a", "data:é 🌾", ": c", "data", "event: x", "");
    const text = fc
      .array(fc.tuple(line, fc.constantFrom("\n", "\r\n", "\r")), { maxLength: 20 })
      .map((lines) => lines.flat().join(""));
    await fc.assert(
      fc.asyncProperty(text, fc.array(fc.nat(120), { maxLength: 10 }), async (whole, cuts) => {
        const bytes = new TextEncoder().encode(whole);
        const places = [...new Set([0, ...cuts.filter((cut) => cut < bytes.length), bytes.length])].sort(
          (a, b) => a - b,
        );
        const body = new ReadableStream<Uint8Array>({
          start(controller) {
            places.slice(1).forEach((end, i) => {
              controller.enqueue(bytes.slice(places[i], end));
            });
            controller.close();
          },
        });
        const events: string[] = [];
        for await (const data of eventData(body)) events.push(data);
        expect(events).toEqual(parse(whole));
      }),
    );
  });
});

test("who stops reading cancels the body", async () => {
  let cancelled = false;
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      controller.enqueue(new TextEncoder().encode("data: a\n\n"));
    },
    cancel: () => {
      cancelled = true;
    },
  });
  for await (const data of eventData(body)) {
    expect(data).toBe("a");
    break;
  }
  expect(cancelled).toBe(true);
});
