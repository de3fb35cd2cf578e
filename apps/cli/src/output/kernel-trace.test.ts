import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { createWebGpuBackend, requestGpu } from "@winnow/gpu-backend";
import { afterAll, describe, expect, it } from "vitest";

import { KernelTrace } from "./kernel-trace";

const folder = mkdtempSync(join(tmpdir(), "winnow-kernel-trace-"));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe.skipIf(process.env.WINNOW_NO_GPU !== undefined)("a kernel trace", () => {
  it("refuses a GPU without timestamps, and leaves no file", async () => {
    const path = join(folder, "trace.json");
    using backend = createWebGpuBackend(await requestGpu({ allowSoftware: true, without: ["timestamp-query"] }));
    await expect(new KernelTrace(path).attach(backend)).rejects.toMatchObject({
      code: "usage",
      message: expect.stringMatching(/offers no timestamp-query/) as unknown,
    });
    expect(existsSync(path)).toBe(false);
  });
});
