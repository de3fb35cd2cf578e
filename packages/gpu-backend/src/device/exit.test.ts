import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

import { describeGpu } from "../testing/on-gpu";

const PACKAGE = fileURLToPath(new URL("../..", import.meta.url));
const MAX_EXIT_MS = 30_000;

interface Ending {
  readonly code: number | null;
  readonly signal: string | null;
  readonly output: string;
}

/** How a program ends that begins with a backend, a tensor `x` and a function that keeps the device busy. */
function run(program: string, env: Record<string, string> = {}): Promise<Ending> {
  const script = `
    import { createWebGpuBackend, requestGpu } from "@winnow/gpu-backend";
    import { rows } from "@winnow/core-tensor";
    const backend = createWebGpuBackend(await requestGpu({ allowSoftware: true }));
    const options = { label: "x", category: "activations" };
    const x = backend.allocate("f32", [20_000, 256], options);
    const weight = backend.allocate("f32", [256], options);
    const busy = () => { for (let i = 0; i < 20; i++) backend.rmsNorm({ x: rows(x), weight, epsilon: 1, out: rows(x) }); };
    ${program}`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
    cwd: PACKAGE,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: MAX_EXIT_MS,
  });
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      resolve({ code, signal, output });
    });
  });
}

describeGpu("a process", () => {
  it.each([
    ["that disposes its backend", "busy(); await backend.flush(); backend[Symbol.dispose]();", 0],
    ["that leaves its backend as it is", "busy(); console.log((await backend.download(x)).length);", 0],
    ["that waits for nothing", "busy();", 0],
    ["that waits for nothing it has submitted", "busy(); backend.flush(); ", 0],
    ["that fails with work under way", "busy(); backend.download(x); throw new Error('over');", 1],
    ["that ends itself with work under way", "busy(); backend.download(x); process.exit(3);", 3],
    [
      "that disposes its backend with work under way",
      "busy(); backend.download(x).catch(() => 0); backend[Symbol.dispose]();",
      0,
    ],
    [
      "whose operation fails",
      "backend.rmsNorm({ x: rows(x), weight: x, epsilon: 1, out: rows(x) }); await backend.flush();",
      1,
    ],
    [
      "whose device is lost",
      "busy(); const reading = backend.download(x); backend.gpu.device.destroy(); await reading;",
      1,
    ],
  ])("%s ends by itself", async (_, program, code) => {
    expect(await run(program)).toMatchObject({ code, signal: null });
  });

  it("without a driver gets a typed error", async () => {
    // A loader without a driver is what a container has; without either Dawn says the same.
    const { code, output } = await run("", {
      VK_DRIVER_FILES: "/nonexistent.json",
      VK_ICD_FILENAMES: "/nonexistent.json",
    });
    if (process.platform !== "linux") return;
    expect(code).toBe(1);
    expect(output).toContain("failure: 'no-adapter'");
    expect(output).toContain("no WebGPU adapter was found");
  });
});
