import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, expect, it, vi } from "vitest";

import { hasVulkanLoader } from "./vulkan-loader";

afterEach(() => {
  vi.unstubAllEnvs();
});

it("the Vulkan loader is found where the dynamic linker is told to look", () => {
  const folder = mkdtempSync(join(tmpdir(), "winnow-vulkan-"));
  writeFileSync(join(folder, "libvulkan.so.1"), "");
  vi.stubEnv("LD_LIBRARY_PATH", `/nowhere:${folder}`);
  expect(hasVulkanLoader()).toBe(true);
  rmSync(folder, { recursive: true });
});
