import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";

import { CONTENT_SECURITY_POLICY, dashboardRoutes } from "./dashboard";
import { builtDashboard, type BuiltDashboard } from "./testing/built-dashboard";
import { CHROMIUM, installed, launchChromium } from "./testing/chromium";
import { fakeServer, type FakeServer } from "./testing/fake-server";

const REPORTS = fileURLToPath(new URL("../../../../.reports", import.meta.url));

if (!installed) {
  process.stderr.write(`the dashboard's tests are skipped: there is no ${CHROMIUM}; CHROMIUM names another\n`);
}

describe("the routes", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "winnow-dashboard-"));
    await mkdir(join(folder, "built", "assets"), { recursive: true });
    await writeFile(join(folder, "built", "index.html"), "<!doctype html>");
    await writeFile(join(folder, "built", "assets", "index-1.js"), "0;");
    await writeFile(join(folder, "built", "assets", ":name"), "a pattern");
    await writeFile(join(folder, "secret.txt"), "secret");
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test("the page is asked for anew, and what its names tell apart is kept", async () => {
    const routes = dashboardRoutes(join(folder, "built"));
    const page = await routes.request("/");
    expect(page.status).toBe(200);
    expect(page.headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(page.headers.get("cache-control")).toBe("no-cache");
    expect(page.headers.get("content-security-policy")).toBe(CONTENT_SECURITY_POLICY);
    expect(page.headers.get("x-content-type-options")).toBe("nosniff");
    const tag = page.headers.get("etag") ?? "";
    expect((await routes.request("/", { headers: { "if-none-match": tag } })).status).toBe(304);

    const script = await routes.request("/assets/index-1.js");
    expect(await script.text()).toBe("0;");
    expect(script.headers.get("content-type")).toBe("text/javascript; charset=utf-8");
    expect(script.headers.get("cache-control")).toContain("immutable");
  });

  test.each([
    "/assets/../../secret.txt",
    "/assets/..%2f..%2fsecret.txt",
    "/assets/%2e%2e/index.html",
    "/assets/",
    "/assets/missing.js",
    "/assets/anything",
    "/secret.txt",
  ])("%s is not there", async (path) => {
    expect((await dashboardRoutes(join(folder, "built")).request(path)).status).toBe(404);
  });

  test("a page that is not built is told", async () => {
    const answer = await dashboardRoutes(join(folder, "nowhere")).request("/");
    expect(answer.status).toBe(404);
    expect(await answer.text()).toContain("The dashboard is not built");
  });
});

describe.skipIf(!installed)("in Chromium", () => {
  let built: BuiltDashboard;
  let browser: Browser;
  let server: FakeServer;
  let pages: { readonly page: Page; readonly problems: string[] }[] = [];
  beforeAll(async () => {
    built = await builtDashboard();
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser.close();
    await built[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    server = await fakeServer(built.folder);
  });
  afterEach(async () => {
    for (const { page, problems } of pages) {
      await page.close();
      expect(problems).toEqual([]);
    }
    pages = [];
    await server[Symbol.asyncDispose]();
  });

  /** The page, whose errors and breaches of the content security policy fail the test. */
  async function open(options: BrowserContextOptions = {}, expected: RegExp | null = null): Promise<Page> {
    const page = await browser.newPage({ viewport: { width: 1360, height: 1000 }, ...options });
    page.setDefaultTimeout(60_000);
    const problems: string[] = [];
    page.on("pageerror", (error) => problems.push(String(error)));
    page.on("console", (message) => {
      const told = message.type() === "error" || message.type() === "warning";
      if (told && expected?.test(message.text()) !== true) problems.push(message.text());
    });
    pages.push({ page, problems });
    await page.goto(server.url);
    await page.locator("#connection:not([data-state=waiting])").waitFor();
    return page;
  }

  async function ask(page: Page, question: string): Promise<void> {
    await page.getByLabel("Message", { exact: true }).fill(question);
    await page.getByRole("button", { name: "Send" }).click();
  }

  async function idle(page: Page): Promise<void> {
    await page.getByRole("button", { name: "Send" }).waitFor();
  }

  test("an answer streams, and the conversation goes on", async () => {
    server.behaviour.pieces = ["The key", " is in", " the barn."];
    let goOn = (): void => undefined;
    server.behaviour.afterFirst = new Promise((resolve) => (goOn = resolve));
    const page = await open();
    await page.getByLabel("Cache policy").selectOption("fastgen");
    await page.getByLabel("Recovery T").fill("0.8");
    await page.getByLabel("Max tokens").fill("20");
    await page.getByText("System message").click();
    await page.getByRole("textbox", { name: "System message" }).fill("Be brief.");
    await ask(page, "Where is the key?");
    const answer = page.getByRole("article", { name: "Answer by fastgen" });
    await answer.getByText("The key", { exact: true }).waitFor();
    expect(await answer.locator(".state").innerText()).toBe("writing …");
    goOn();
    await idle(page);
    expect(await answer.locator(".text").innerText()).toBe("The key is in the barn.");
    const figures = await answer.locator(".figures").innerText();
    expect(figures).toMatch(/2\.31 MB of 4\.92 MB \(47\.0 %\)/);
    expect(figures).toMatch(/63\.7 tokens\/s/);
    expect(figures).toMatch(/First token\s+\d+ ms/);
    expect(await page.locator("#announcement").innerText()).toBe("Answer: The key is in the barn.");

    await ask(page, "And the torch?");
    await idle(page);
    expect(server.asked).toEqual([
      expect.objectContaining({ model: "demo", max_tokens: 20, winnow: { policy: "fastgen", recovery: 0.8 } }),
      expect.objectContaining({
        messages: [
          { role: "system", content: "Be brief." },
          { role: "user", content: "Where is the key?" },
          { role: "assistant", content: "The key is in the barn." },
          { role: "user", content: "And the torch?" },
        ],
      }),
    ]);

    await page.getByRole("button", { name: "New conversation" }).click();
    await ask(page, "Anew");
    await idle(page);
    expect(server.asked.at(-1)?.messages.map(({ content }) => content)).toEqual(["Be brief.", "Anew"]);
  });

  test("stop ends the stream at the server too, and what had come stays", async () => {
    server.behaviour.pieces = Array.from({ length: 1000 }, (_, i) => `${i} `);
    server.behaviour.pauseMs = 50;
    const page = await open();
    await ask(page, "Count");
    await page.getByText(/^0 1 2/).waitFor();
    await page.getByRole("button", { name: "Stop" }).click();
    await idle(page);
    expect(await page.locator(".answer .state").innerText()).toBe("stopped");
    expect(await page.locator(".answer .text").innerText()).toMatch(/^0 1 2/);
    await expect.poll(() => server.aborted).toBe(1);
  });

  test("compare answers with the full cache and the chosen policy side by side", async () => {
    const page = await open();
    await page.getByLabel("Cache policy").selectOption("adaptive");
    await page.getByLabel("Compare with the full cache").check();
    await ask(page, "Where?");
    await idle(page);
    const answers = page.getByRole("article");
    const names = (await answers.all()).map((one) => one.getAttribute("aria-label"));
    expect(await Promise.all(names)).toEqual(["Answer by full", "Answer by adaptive"]);
    const [full, chosen] = await answers.all();
    expect(await full?.innerText()).toMatch(/Hello there\.[^]*4\.92 MB of 4\.92 MB[^]*48\.2 tokens\/s/);
    expect(await chosen?.innerText()).toMatch(/Hello there\.[^]*2\.31 MB of 4\.92 MB[^]*63\.7 tokens\/s/);
    const [left, right] = [await full?.boundingBox(), await chosen?.boundingBox()];
    expect(left?.y).toBe(right?.y);
    expect((left?.x ?? 0) + (left?.width ?? 0)).toBeLessThan(right?.x ?? 0);
    expect(server.asked.map(({ winnow }) => winnow.policy).sort()).toEqual(["adaptive", "full"]);
    await page.getByRole("combobox", { name: "Request to show" }).selectOption({ label: "last answer, full" });
    expect(await page.getByRole("gridcell", { name: /: full; keeps 100 %, 400 of 400 slots$/ }).count()).toBe(24);
  });

  test("the heat map's cells have names, and the arrow keys move among them", async () => {
    const page = await open();
    await page.getByRole("grid").waitFor();
    const cells = page.getByRole("gridcell");
    expect(await cells.count()).toBe(24);
    const name = "Layer 0, KV head 2: special | top(maxWeight, 10%) | recent(4); keeps 14 %";
    const cell = page.getByRole("gridcell", { name, exact: true });
    expect(await cell.innerText()).toMatch(/14\s*a/);
    await cells.first().focus();
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowRight");
    expect(await focused(page)).toBe(name);
    expect(await page.locator("#head-detail").innerText()).toBe(name);
    await cells.nth(4).locator(".share").hover();
    expect(await page.locator("#head-detail").innerText()).toMatch(/^Layer 1, KV head 0: /);
    // An update leaves the focus where it is.
    await page.waitForTimeout(1500);
    expect(await focused(page)).toBe(name);
    expect(await page.locator("#map-policies").innerText()).toContain("special | top(maxWeight, 10%) | recent(4)");
  });

  test("the cache, the queue and the prefixes are shown, and followed", async () => {
    const page = await open();
    expect(await page.locator("#serving").innerText()).toBe("demo · cpu, 2 threads");
    expect(await page.locator("#budget").innerText()).toBe("budget 8.00 MB, 5.20 MB reserved");
    const before = await page.locator("#bytes").innerText();
    await expect.poll(() => page.locator("#bytes").innerText()).not.toBe(before);
    await expect
      .poll(() =>
        page
          .getByRole("img", { name: /^KV cache over/ })
          .locator("polyline")
          .count(),
      )
      .toBe(2);
    expect(await page.locator(".limit").count()).toBe(1);
    expect(await page.locator(".tiles").innerText()).toMatch(/Waiting\s+1 of 64[^]*Prefix hits\s+18/);
    expect(await page.locator("#requests tbody tr").count()).toBe(3);
  });

  test("everything works by keyboard alone", async () => {
    server.behaviour.pieces = Array.from({ length: 400 }, (_, i) => `${i} `);
    server.behaviour.pauseMs = 30;
    const page = await open();
    await page.keyboard.press("Tab");
    expect(await focused(page)).toBe("To the message field");
    await page.keyboard.press("Enter");
    await page.keyboard.type("First line");
    await page.keyboard.press("Shift+Enter");
    await page.keyboard.type("second line");
    const reached: string[] = [];
    for (let i = 0; i < 12; i++) {
      await page.keyboard.press("Tab");
      reached.push(await focused(page));
    }
    expect(reached).toEqual([
      "compare",
      "send",
      "policy",
      "recovery",
      "max-tokens",
      "temperature",
      "System message",
      "source",
      expect.stringMatching(/^Layer 0, KV head 0/),
      "requests-figure",
      expect.any(String),
      expect.any(String),
    ]);
    await page.getByLabel("Message", { exact: true }).focus();
    await page.keyboard.press("Enter");
    await page.getByText(/^0 1/).waitFor();
    await page.keyboard.press("Escape");
    await idle(page);
    expect(server.asked.at(0)?.messages).toEqual([{ role: "user", content: "First line\nsecond line" }]);

    // From the button: the focus goes over to Stop, and back to the message.
    await page.keyboard.type("Again");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await expect.poll(() => focused(page)).toBe("stop");
    await page.keyboard.press("Enter");
    await expect.poll(() => focused(page)).toBe("question");
  });

  test("text of the model that looks like markup is text", async () => {
    const text = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script><b>bold</b>`;
    server.behaviour.pieces = [text.slice(0, 20), text.slice(20)];
    const page = await open();
    await ask(page, text);
    await idle(page);
    expect(await page.locator(".answer .text").innerText()).toBe(text);
    expect(await page.locator(".asked").innerText()).toBe(text);
    expect(await page.locator("#log :is(img, script, b)").count()).toBe(0);
    expect(await page.title()).toBe("Winnow");
  });

  test("an error in the stream is told, and the question can be asked again", async () => {
    server.behaviour.streamError = "the device was lost";
    const page = await open();
    await ask(page, "Where?");
    await idle(page);
    expect(await page.locator(".answer .problem").innerText()).toBe("The device was lost.");
    expect(await page.getByLabel("Message", { exact: true }).inputValue()).toBe("Where?");
    server.behaviour.streamError = null;
    await page.getByRole("button", { name: "Send" }).click();
    await idle(page);
    expect(server.asked.at(-1)?.messages).toEqual([{ role: "user", content: "Where?" }]);
  });

  test("a full queue says when to try again", async () => {
    server.behaviour.busy = true;
    const page = await open({}, /429/);
    await ask(page, "Where?");
    await idle(page);
    expect(await page.locator(".answer .problem").innerText()).toBe("The queue is full. Try again in 7 s.");
  });

  test("a key is asked for when the server wants one, and kept for the tab alone", async () => {
    server.behaviour.key = "right";
    const page = await open({}, /401/);
    const field = page.getByLabel("API key");
    await field.waitFor();
    await field.fill("wrong");
    await page.keyboard.press("Enter");
    await page.getByText("The server does not know this key.").waitFor();
    await field.fill("right");
    await page.keyboard.press("Enter");
    await page.locator("#connection[data-state=connected]").waitFor();
    expect(await field.isVisible()).toBe(false);
    expect(await page.evaluate("[sessionStorage.length, localStorage.length, document.cookie]")).toEqual([1, 0, ""]);
    await page.reload();
    await page.locator("#connection[data-state=connected]").waitFor();
    expect(await page.getByLabel("API key").isVisible()).toBe(false);
  });

  test("a custom policy is sent as it is written", async () => {
    const page = await open();
    await page.getByLabel("Cache policy").selectOption("custom");
    await page.getByLabel("Policy text").fill("special | recent(30%)");
    await ask(page, "Where?");
    await idle(page);
    expect(server.asked.at(0)?.winnow).toEqual({ policy: "special | recent(30%)" });
  });

  test.each([
    ["light", 1360],
    ["dark", 1360],
    ["light", 390],
  ] as const)("%s at %i pixels", async (colorScheme, width) => {
    server.behaviour.pieces = "Mira keeps the red key in the barn, and Kira keeps the white torch in the tower.".split(
      /(?= )/,
    );
    const page = await open({ colorScheme, viewport: { width, height: 1000 }, reducedMotion: "reduce" });
    await page.getByLabel("Compare with the full cache").check();
    await ask(page, "Where does Mira keep the red key, and where is the torch?");
    await idle(page);
    await page.waitForTimeout(width > 1000 ? 6000 : 2500);
    const overflow = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth");
    expect(overflow).toBe(0);
    await mkdir(REPORTS, { recursive: true });
    // Without the caret's hiding, which would be a style that the policy forbids.
    await page.screenshot({
      path: join(REPORTS, `dashboard-${colorScheme}-${width}.png`),
      fullPage: true,
      caret: "initial",
    });
  });
});

/** What has the focus: its id, or else its name. In text, as the page's globals are none of these tests'. */
function focused(page: Page): Promise<string> {
  return page.evaluate<string>(
    "document.activeElement.id || (document.activeElement.ariaLabel ?? document.activeElement.textContent).trim()",
  );
}
