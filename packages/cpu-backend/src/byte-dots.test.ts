import { existsSync } from "node:fs";

import { chromium } from "playwright-core";
import { expect, it } from "vitest";

import { KERNELS } from "./generated/kernels";
import { compareProducts } from "./testing/compare-products";
import { allowRelaxedSimd } from "./threads/node-helpers";

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const [NO_BYTES, SIGNED_BYTES] = [0, 3];

it("gives the bits that 16-bit numbers give", () => {
  const trusted = allowRelaxedSimd();
  const { found, shapes, different } = compareProducts(KERNELS.fused);
  expect(found).toBeLessThanOrEqual(SIGNED_BYTES);
  expect(shapes).toBe(56);
  // Behind a flag bytes are not used.
  if (trusted) expect(different).toEqual([]);
});

it("has nothing of bytes where there is no relaxed SIMD", () => {
  expect(compareProducts(KERNELS.plain)).toMatchObject({ found: NO_BYTES, different: [] });
});

it.skipIf(!existsSync(CHROMIUM))("gives them in Chromium too", async () => {
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--headless=new", "--no-sandbox"] });
  try {
    const page = await browser.newPage();
    const compared = await page.evaluate(compareProducts, KERNELS.fused);
    expect(compared).toMatchObject({ shapes: 56, different: [] });
    expect(compared.found).toBeGreaterThan(NO_BYTES);
  } finally {
    await browser.close();
  }
});
