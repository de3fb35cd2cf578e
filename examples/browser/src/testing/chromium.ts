import { existsSync } from "node:fs";

import { chromium, type Browser } from "playwright-core";

/** A Chromium that is installed: playwright-core brings none, and nothing is downloaded. */
export const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";

export const installed = existsSync(CHROMIUM);

/** Chromium without a window, and with WebGPU in software, so that every machine computes the same. */
export function launchChromium(): Promise<Browser> {
  const args = ["--headless=new", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--no-sandbox"];
  return chromium.launch({ executablePath: CHROMIUM, args });
}
