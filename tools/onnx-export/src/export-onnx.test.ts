import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { AutoModelForCausalLM, DynamicCache, Tensor, env } from "@huggingface/transformers";
import { createCpuBackend } from "@winnow/core-tensor";
import { convertModel, idsPart, loadModel } from "@winnow/runtime";
import { afterAll, beforeAll, expect, test } from "vitest";

import { exportOnnx } from "./export-onnx";

const DEMO = fileURLToPath(new URL("../../../models/demo", import.meta.url));
/** Ids of the demo's vocabulary, without a pattern. */
const IDS = Array.from({ length: 40 }, (_, i) => (i === 0 ? 0 : 10 + ((i * 7919) % 1200)));

let folder = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "winnow-onnx-"));
  env.allowRemoteModels = false;
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** The newest logits behind all ids: of the first half, then of the others one by one over the cache. */
async function transformersLogits(path: string, dtype: "fp32" | "q8"): Promise<number[]> {
  const model = await AutoModelForCausalLM.from_pretrained(path, { dtype, device: "cpu", local_files_only: true });
  let past = new DynamicCache();
  let logits: number[] = [];
  const half = IDS.length / 2;
  const steps = [IDS.slice(0, half), ...IDS.slice(half).map((id) => [id])];
  let seen = 0;
  for (const ids of steps) {
    seen += ids.length;
    const outputs = (await model.forward({
      input_ids: int64([1, ids.length], ids),
      attention_mask: int64([1, seen], new Array<number>(seen).fill(1)),
      past_key_values: past,
    })) as unknown;
    const tensors = Object.entries(outputs ?? {}).filter(
      (entry): entry is [string, Tensor] => entry[1] instanceof Tensor,
    );
    const present = tensors.filter(([name]) => name.startsWith("present."));
    past = new DynamicCache(
      Object.fromEntries(present.map(([name, tensor]) => [name.replace("present", "past_key_values"), tensor])),
    );
    logits = floats(tensors.find(([name]) => name === "logits")?.[1].data);
  }
  await model.dispose();
  return logits;
}

function floats(data: unknown): number[] {
  if (!(data instanceof Float32Array)) throw new Error("ONNX Runtime gave no floats");
  return [...data];
}

function int64(shape: number[], values: readonly number[]): Tensor {
  return new Tensor("int64", BigInt64Array.from(values.map(BigInt)), shape);
}

async function winnowLogits(path: string): Promise<number[]> {
  // The CPU backend rounds activations to eight bits before products with q8_0; the reference does not.
  using model = await loadModel(path, { backend: createCpuBackend() });
  using session = model.createSession({ policy: "full" });
  await session.read([idsPart(model.tokenizer, IDS)]);
  return Array.from(await model.engine.backend.download(session.sequence.logits), Number);
}

test.each([
  { dtype: "fp32", type: "f16", activations: "f32", most: 1e-4 },
  { dtype: "q8", type: "q8_0", activations: "f32", most: 1e-4 },
  // Winnow's reference rounds no activations.
  { dtype: "q8", type: "q8_0", activations: "i8", most: 3e-2 },
] as const)("an export to $dtype with activations in $activations has Winnow's logits", async (wanted) => {
  const { dtype, type, activations, most } = wanted;
  const gguf = join(folder, `${type}.gguf`);
  await convertModel(DEMO, gguf, { type, force: true });
  const exported = join(folder, `${type}-${activations}`);
  expect(await exportOnnx(gguf, exported, { activations })).toBe(dtype);
  const expected = await winnowLogits(gguf);
  const found = await transformersLogits(exported, dtype);
  expect(found).toHaveLength(expected.length);
  const largest = Math.max(...expected.map(Math.abs));
  const furthest = Math.max(...expected.map((logit, i) => Math.abs(logit - (found[i] ?? NaN))));
  expect(furthest / largest).toBeLessThan(most);
});

test("a model in a type that graphs have no form of is refused", async () => {
  const gguf = join(folder, "q4.gguf");
  await convertModel(DEMO, gguf, { type: "q4_0" });
  await expect(exportOnnx(gguf, join(folder, "q4"))).rejects.toThrow("q4_0; the export takes f32, f16, bf16 and q8_0");
});
