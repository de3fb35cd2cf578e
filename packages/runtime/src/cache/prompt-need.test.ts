import { expect, test } from "vitest";

import { promptSize } from "./prompt-need";

const engine = { context: 1024 };
const subject = Array.from({ length: 300 }, (_, i) => i);
const probe = { kind: "replay", request: [1, 2, 3, 4], subject } as const;

test("a part's probe counts by its longest chunk, in the room that the context leaves behind that part", () => {
  const read = { rows: 304, probe };
  expect(promptSize(engine, { rows: "probe" }, 0, [read])).toEqual({ tokens: 304, rows: 608 });
  // Behind the second part there is no room for a probe, and behind the first there is.
  expect(promptSize(engine, { rows: "probe" }, 0, [read, { rows: 710, probe: null }])).toEqual({
    tokens: 1014,
    rows: 710,
  });
  expect(promptSize(engine, { rows: "probe" }, 10, [read, { rows: 500, probe }])).toEqual({ tokens: 814, rows: 710 });
  expect(promptSize(engine, { rows: "prompt" }, 10, [read])).toEqual({ tokens: 314, rows: 304 });
});
