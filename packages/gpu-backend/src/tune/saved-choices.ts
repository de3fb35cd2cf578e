import type { Gpu } from "../device/gpu";
import { digestOf } from "./digest";
import type { KernelChoices, SavedChoice } from "./kernel-family";
import type { TextStore } from "./text-store";
import type { KernelTuning } from "./tune-kernels";

/** Of the file's own layout. */
const FORMAT = 1;

/**
 * The choices that were saved for this adapter, with the same driver and implementation of WebGPU; none where there are
 * none, or what is there cannot be read. A backend takes a choice only where its shaders are still what was measured.
 *
 * @example
 * ```ts
 * const gpu = await requestGpu();
 * using backend = createWebGpuBackend(gpu, { kernels: await loadKernelChoices(store, gpu) });
 * ```
 */
export async function loadKernelChoices(
  store: Pick<TextStore, "read">,
  { adapter }: Pick<Gpu, "adapter">,
): Promise<KernelChoices> {
  const identity = identityOf(adapter);
  try {
    const text = await store.read(nameOf(identity));
    return text === null ? new Map() : choicesIn(text, identity);
  } catch {
    // Whatever is wrong with the store, the first candidates compute the same.
    return new Map();
  }
}

/**
 * Save what was measured, beside what was saved before for other shapes. What cannot be read there is replaced.
 *
 * @throws what the store's `write` throws.
 */
export async function saveKernelChoices(
  store: TextStore,
  gpu: Pick<Gpu, "adapter">,
  { choices }: Pick<KernelTuning, "choices">,
): Promise<void> {
  const all = new Map([...(await loadKernelChoices(store, gpu)), ...choices]);
  const identity = identityOf(gpu.adapter);
  const content = { format: FORMAT, adapter: identity, choices: Object.fromEntries(all) };
  await store.write(nameOf(identity), `${JSON.stringify(content, null, 1)}\n`);
}

/** What times depend on, of what can be told from outside. */
function identityOf({ name, vendor, architecture, device, implementation }: Gpu["adapter"]): string {
  return [name, vendor, architecture, device, implementation].join(" | ");
}

function nameOf(identity: string): string {
  return `kernels-${digestOf(identity)}.json`;
}

function choicesIn(text: string, identity: string): KernelChoices {
  const content: unknown = JSON.parse(text);
  if (!isRecord(content) || content.format !== FORMAT || content.adapter !== identity) return new Map();
  if (!isRecord(content.choices)) return new Map();
  const choices = new Map<string, SavedChoice>();
  for (const [key, value] of Object.entries(content.choices)) {
    if (!isRecord(value)) continue;
    const { variant, source } = value;
    if (typeof variant === "string" && typeof source === "string") choices.set(key, { variant, source });
  }
  return choices;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
