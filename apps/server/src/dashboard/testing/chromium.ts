import { existsSync } from "node:fs";

import { chromium, type Browser } from "playwright-core";

/** A Chromium that is installed: playwright-core brings none, and nothing is downloaded. */
export const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";

export const installed = existsSync(CHROMIUM);

export function launchChromium(): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM, args: ["--headless=new", "--no-sandbox"] });
}
