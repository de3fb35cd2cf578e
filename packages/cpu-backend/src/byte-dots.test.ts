import { existsSync } from "node:fs";

import { chromium } from "playwright-core";
import { expect, it } from "vitest";

import { useBytesWhereExact } from "./byte-check";
import { KERNELS } from "./generated/kernels";
import { instantiate } from "./kernels";
import { Heap } from "./memory/heap";
import { ModuleMemory, sharedMemory } from "./memory/module-memory";
import { WorkMemory } from "./memory/work-memory";
import { PageArguments } from "./operations/page-arguments";
import { compareProducts } from "./testing/compare-products";
import { allowRelaxedSimd } from "./threads/node-helpers";

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const [NO_BYTES, SIGNED_BYTES] = [0, 3];

it("gives the bits that 16-bit numbers give", () => {
  const trusted = allowRelaxedSimd();
  const { found, shapes, different } = compareProducts(KERNELS.fused);
  expect(found).toBeLessThanOrEqual(SIGNED_BYTES);
  expect(shapes).toBe(56);
  // Before Node 22 bytes are not used.
  if (trusted) expect(different).toEqual([]);
});

it("is used where kernels agree, and not before Node 22", () => {
  const trusted = allowRelaxedSimd();
  const { memory, mostBytes } = sharedMemory();
  const instance = instantiate(new WebAssembly.Module(Buffer.from(KERNELS.fused, "base64")), memory);
  const { kernels, heapBase } = instance;
  kernels.expect_helpers(0, 1);
  const heap = new Heap(memory, heapBase, mostBytes);
  const tensors = new ModuleMemory(memory, heap);
  const work = new WorkMemory(heap, memory, "work memory");
  const pages = new PageArguments(kernels, tensors, new WorkMemory(heap, memory, "page tables"));
  const used = useBytesWhereExact({ kernels, memory: tensors, work, pages, threads: 1 });
  // Its baseline compiler multiplies them wrong.
  expect(used).toBe(trusted && kernels.find_byte_dots() > NO_BYTES);
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
