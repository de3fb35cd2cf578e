import { describe, expect, test } from "vitest";

import { inkOn, scaleColour } from "./colour-scale";
import { heatMap } from "./heat-map";
import { heatMapHtml } from "./heat-map-html";
import { heatMapSvg } from "./heat-map-svg";
import { formatBytes, formatShare, type ProfileReport } from "./report";

const HOSTILE = `<script>alert("x")</script>&'`;

const report: ProfileReport = {
  model: HOSTILE,
  policy: "fastgen",
  promptTokens: 200,
  recovery: 0.95,
  rows: { source: "prompt", note: HOSTILE },
  layers: [0, 1, 2].map((layer) => ({
    heads: [0, 1].map((head) => ({
      policy: head === 0 ? "full" : `tokens(/${HOSTILE}/)`,
      recovery: layer === 0 ? null : 0.97,
      kept: head === 0 ? 200 : 20 * layer,
      candidates: [{ policy: "special", recovery: null, kept: null }],
      attention: layer === 0 ? null : { special: 0.5, punctuation: 0.1, recent: 0.2, frequent: 0.1, rest: 0.1 },
    })),
  })),
  kv: { bytes: 500, fullBytes: 1000, peakBytes: 700 },
};

describe("the terminal's heat map", () => {
  test("shows every head's share and its policy's letter", () => {
    expect(heatMap(report, { colours: "none" }).split("\n").slice(0, 5)).toEqual([
      "         KV head",
      "            0      1  ",
      "layer 0 100% a   0% b ",
      "layer 1 100% a  10% b ",
      "layer 2 100% a  20% b ",
    ]);
  });

  test.each(["256", "truecolour"] as const)("in %s says the same, in colour", (colours) => {
    const ansi = new RegExp(`${String.fromCharCode(27)}\\[[\\d;]*m`, "g");
    expect(heatMap(report, { colours }).replaceAll(ansi, "")).toBe(heatMap(report, { colours: "none" }));
    expect(heatMap(report, { colours })).toMatch(ansi);
  });
});

describe.each([
  ["SVG", heatMapSvg(report)],
  ["page", heatMapHtml(report)],
])("the %s", (_, text) => {
  test("escapes what comes from outside", () => {
    expect(text).not.toContain("<script");
    expect(text).toContain("&lt;script&gt;");
  });

  test("needs nothing from outside", () => {
    expect(text.replace("http://www.w3.org/2000/svg", "")).not.toMatch(/https?:|src=|@import|url\(/);
  });

  test("closes every element that it opens", () => {
    const open: string[] = [];
    for (const [, close, name = "", inside = ""] of text.matchAll(/<(\/?)([a-z]\w*)([^>]*)>/gi)) {
      if (["meta", "html", "!doctype"].includes(name) || inside.endsWith("/")) continue;
      if (close === "/") expect(open.pop()).toBe(name);
      else open.push(name);
    }
    expect(open).toEqual([]);
  });
});

test("ink stands out on every colour of the scale", () => {
  const luminance = (colour: readonly number[]): number => {
    const [r = 0, g = 0, b = 0] = colour.map((c) =>
      c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4,
    );
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  for (let i = 0; i <= 100; i++) {
    const colour = scaleColour(i / 100);
    const [a, b] = [luminance(colour), inkOn(colour) === "black" ? 0 : 1];
    expect((Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)).toBeGreaterThan(3);
  }
});

test.each([
  [0, "0 B"],
  [999, "999 B"],
  [1000, "1.00 KB"],
  [1_040_000, "1.04 MB"],
  [999_999, "1.00 MB"],
])("%d bytes are %s", (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

test("a share that was not measured is a dash", () => {
  expect([formatShare(null), formatShare(0.1234)]).toEqual(["–", "12.3 %"]);
});
