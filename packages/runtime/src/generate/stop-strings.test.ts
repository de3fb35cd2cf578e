import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { failureOf } from "../files/testing/failure";
import { StopStrings } from "./stop-strings";

interface Answer {
  readonly emitted: readonly string[];
  readonly stopped: boolean;
}

/** What a decoding loop does with the pieces of an answer: nothing is pushed any more after a stop. */
function stream(stops: readonly string[], pieces: readonly string[]): Answer {
  const watcher = new StopStrings(stops);
  const emitted: string[] = [];
  for (const piece of pieces) {
    const { text, stopped } = watcher.push(piece);
    emitted.push(text);
    if (stopped) return { emitted, stopped };
  }
  return { emitted: [...emitted, watcher.flush()], stopped: false };
}

/** The text before the first of the stops to be complete, looked for at every place of the whole text. */
function search(text: string, stops: readonly string[]): { readonly text: string; readonly stopped: boolean } {
  for (let end = 0; end <= text.length; end++) {
    const found = stops.filter((stop) => text.slice(0, end).endsWith(stop));
    if (found.length > 0) {
      return { text: text.slice(0, end - Math.max(...found.map(({ length }) => length))), stopped: true };
    }
  }
  return { text, stopped: false };
}

const pieces = fc.array(fc.string({ unit: fc.constantFrom("a", "b", "é"), maxLength: 4 }), { maxLength: 14 });
const stops = fc.array(fc.string({ unit: fc.constantFrom("a", "b", "é"), minLength: 1, maxLength: 5 }), {
  maxLength: 4,
});

describe("stop strings", () => {
  it("end the text where a search over the whole of it does, however it is split", () => {
    fc.assert(
      fc.property(stops, pieces, (all, split) => {
        const { emitted, stopped } = stream(all, split);
        expect({ text: emitted.join(""), stopped }).toEqual(search(split.join(""), all));
      }),
      { numRuns: 2000 },
    );
  });

  it("let nothing of themselves through, not even for a moment", () => {
    fc.assert(
      fc.property(stops, pieces, (all, split) => {
        const { emitted } = stream(all, split);
        for (let count = 0; count <= emitted.length; count++) {
          const sofar = emitted.slice(0, count).join("");
          expect(all.some((stop) => sofar.includes(stop))).toBe(false);
          expect(search(split.join(""), all).text.startsWith(sofar)).toBe(true);
        }
      }),
    );
  });

  it("hold back only what may be the beginning of one", () => {
    fc.assert(
      fc.property(stops, pieces, (all, split) => {
        const watcher = new StopStrings(all);
        let text = "";
        let emitted = "";
        for (const piece of split) {
          text += piece;
          const pushed = watcher.push(piece);
          emitted += pushed.text;
          if (pushed.stopped) return;
          const rest = text.slice(emitted.length);
          expect(emitted + rest).toBe(text);
          expect(rest === "" || all.some((stop) => stop.startsWith(rest))).toBe(true);
        }
      }),
    );
  });

  it("are found across pieces", () => {
    expect(stream(["\nMe:"], ["Yes", ".", "\n", "M", "e", ": why"])).toEqual({
      emitted: ["Yes", ".", "", "", "", ""],
      stopped: true,
    });
  });

  it("are emitted when they turn out to be none", () => {
    expect(stream(["END."], ["the E", "N", "ENDS", " here E"]).emitted).toEqual(["the ", "", "ENENDS", " here ", "E"]);
    expect(stream(["aab"], ["aa", "a", "a"]).emitted).toEqual(["", "a", "a", "aa"]);
  });

  it("may be one the beginning or the end of another", () => {
    expect(stream(["ab", "abcd"], ["xa", "b", "cd"])).toEqual({ emitted: ["x", ""], stopped: true });
    expect(stream(["abcd", "ab"], ["xabcd"])).toEqual({ emitted: ["x"], stopped: true });
    expect(stream(["cd", "abcd"], ["xabc", "dy"])).toEqual({ emitted: ["x", ""], stopped: true });
  });

  it("leave everything as it is where there are none", () => {
    expect(stream([], ["a", "", "b"])).toEqual({ emitted: ["a", "", "b", ""], stopped: false });
  });

  it("cannot be empty", async () => {
    expect(await failureOf(() => new StopStrings(["a", ""]))).toMatchObject({
      code: "usage",
      message: "a stop string is empty; give at least one character",
    });
  });
});
