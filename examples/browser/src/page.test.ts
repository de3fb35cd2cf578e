import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { Chat, loadModel, type Model } from "@winnow/runtime";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { MAX_TOKENS } from "./assistant";
import { DOCUMENT } from "./document";
import { builtPage, type BuiltPage } from "./testing/built-page";
import { CHROMIUM, installed, launchChromium } from "./testing/chromium";

const RED_KEY = "Where does Mira keep the red key?";
const TORCH = "Where does Kira keep the white torch?";
const MODEL = fileURLToPath(new URL("../../../models/demo", import.meta.url));
const REPORTS = fileURLToPath(new URL("../../../.reports", import.meta.url));
/** Long enough for a driver in software on a machine that is busy: nothing here is timed. */
const ANSWER_MS = 300_000;

let built: BuiltPage;
let model: Model;
beforeAll(async () => {
  built = await builtPage();
  model = await loadModel(MODEL);
});
afterAll(async () => {
  model[Symbol.dispose]();
  await built[Symbol.asyncDispose]();
});

if (!installed) process.stderr.write(`the page's tests are skipped: there is no ${CHROMIUM}; CHROMIUM names another\n`);

test("nothing in the page reaches a module of Node", () => {
  expect(built.modules.length).toBeGreaterThan(10);
  // Vite puts its own empty module in their place.
  expect(
    built.modules.filter((id) => /^node:|browser-external|[/\\]core-tensor[/\\]dist[/\\](cpu-)?worker/.test(id)),
  ).toEqual([]);
});

describe.skipIf(!installed)("in Chromium", () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(() => browser.close());

  /** The page, once it has told whether it can be asked. */
  async function open(prepare = (_: Page): Promise<unknown> => Promise.resolve()): Promise<Page> {
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    await prepare(page);
    await page.goto(built.url);
    await page.locator("#ask:enabled, #no-webgpu:not([hidden]), #status.failed").first().waitFor();
    return page;
  }

  /** Ask by typing, as a person does, and wait for the end of the answer. */
  async function ask(page: Page, question: string): Promise<string> {
    await page.getByLabel("Question", { exact: true }).fill(question);
    await page.getByRole("button", { name: "Ask", exact: true }).click();
    await page.locator("#ask:enabled").waitFor({ timeout: ANSWER_MS });
    expect(await page.getByRole("status").innerText()).toMatch(/^Read \d+ tokens in .* wrote \d+/);
    return page.locator(".answer").last().innerText();
  }

  test.for(["full", "fastgen", "adaptive"])(
    "%s answers as it does in Node on the CPU",
    { timeout: 2 * ANSWER_MS },
    async (policy, { skip }) => {
      const page = await open();
      await expectWebGpu(page, skip);
      await page.getByLabel("Policy").selectOption(policy);

      using session = model.createSession({ policy });
      const chat = new Chat(model, session);
      const first = await chat.ask(DOCUMENT, { then: RED_KEY, maxTokens: MAX_TOKENS }).report();
      expect(first.text).toContain("barn");
      expect(await ask(page, RED_KEY)).toBe(first.text);

      const { layers, kvHeads } = model.config;
      expect(await page.locator("#heat-map svg g rect").count()).toBe(layers * kvHeads);
      expect(await page.locator("#bytes").innerText()).toMatch(policy === "full" ? /\(100\.0 %\)/ : /\(\d\d\.\d %\)/);

      // The conversation goes on over the cut cache.
      const second = await chat.ask(TORCH, { maxTokens: MAX_TOKENS }).report();
      expect(await ask(page, TORCH)).toBe(second.text);
      expect(await page.getByRole("log").innerText()).toMatch(new RegExp(`cut by ${policy}`));
      await page.screenshot({ path: join(REPORTS, `browser-${policy}.png`), fullPage: true });
      await page.close();
    },
  );

  test.for([true, false])(
    "where there is no WebGPU the page says so, and answers on the CPU; cross-origin isolated: %s",
    { timeout: 2 * ANSWER_MS },
    async (isolated) => {
      const page = await open(async (bare) => {
        await bare.addInitScript(() => {
          Object.defineProperty(Navigator.prototype, "gpu", { value: undefined });
        });
        if (isolated) return;
        await bare.route("**/*", async (route) => {
          const response = await route.fetch();
          const { "cross-origin-opener-policy": _, ...headers } = response.headers();
          await route.fulfill({ response, headers });
        });
      });
      const alert = await page.getByRole("alert").innerText();
      expect(alert).toMatch(/There is no WebGPU here\s+This browser has no navigator\.gpu/);
      expect(alert).toMatch(isolated ? /with \d+ threads\./ : /with one thread, for the page is not cross-origin/);
      using session = model.createSession({ policy: "adaptive" });
      const chat = new Chat(model, session);
      await page.getByLabel("Policy").selectOption("adaptive");
      const { text } = await chat.ask(DOCUMENT, { then: RED_KEY, maxTokens: MAX_TOKENS }).report();
      expect(text).toContain("barn");
      expect(await ask(page, RED_KEY)).toBe(text);
      await page.screenshot({
        path: join(REPORTS, `browser-cpu-${isolated ? "threads" : "alone"}.png`),
        fullPage: true,
      });
      await page.close();
    },
  );

  test("a model that does not arrive is told", async ({ skip }) => {
    const page = await open((cut) => cut.route("**/model.safetensors", (route) => route.abort()));
    await expectWebGpu(page, skip);
    expect(await page.getByRole("status").innerText()).toMatch(/model\.safetensors: cannot be fetched \(.+\); check/);
    await page.close();
  });
});

let told = false;

/** A Chromium without WebGPU skips the test, unless a GPU is called for. */
async function expectWebGpu(page: Page, skip: (note: string) => void): Promise<void> {
  if (!(await page.getByRole("heading", { name: "There is no WebGPU here" }).isVisible())) return;
  const problem = `${CHROMIUM} has no WebGPU: ${await page.locator("#no-webgpu-reason").innerText()}`;
  if (process.env.WINNOW_REQUIRE_GPU === "1") throw new Error(`WINNOW_REQUIRE_GPU=1, but ${problem}`);
  if (!told) process.stderr.write(`skipped: ${problem}\n`);
  told = true;
  skip(problem);
}
