import { z } from "zod";

/** Who is compared, by the names that tables have. */
export const PEERS = [
  "winnow full",
  "winnow half cut",
  "winnow fastgen",
  "winnow adaptive",
  "winnow full on webgpu",
  "winnow half cut on webgpu",
  "llama.cpp",
  "llama.cpp on vulkan",
  "transformers.js",
] as const;
export const peerSchema = z.enum(PEERS);
export type Peer = z.output<typeof peerSchema>;

/** How a peer is run by its engine. */
export type Engine =
  | {
      readonly kind: "winnow";
      readonly policy: string;
      readonly backend: "cpu" | "webgpu";
      /** The share of a filled cache's tokens that have slots. */
      readonly share: number;
    }
  | { readonly kind: "llama.cpp"; readonly gpu: "vulkan" | false }
  | { readonly kind: "transformers.js" };

export const ENGINES: Readonly<Record<Peer, Engine>> = {
  "winnow full": { kind: "winnow", policy: "full", backend: "cpu", share: 1 },
  "winnow half cut": { kind: "winnow", policy: "full", backend: "cpu", share: 0.5 },
  "winnow fastgen": { kind: "winnow", policy: "fastgen", backend: "cpu", share: 1 },
  "winnow adaptive": { kind: "winnow", policy: "adaptive", backend: "cpu", share: 1 },
  "winnow full on webgpu": { kind: "winnow", policy: "full", backend: "webgpu", share: 1 },
  "winnow half cut on webgpu": { kind: "winnow", policy: "full", backend: "webgpu", share: 0.5 },
  "llama.cpp": { kind: "llama.cpp", gpu: false },
  "llama.cpp on vulkan": { kind: "llama.cpp", gpu: "vulkan" },
  "transformers.js": { kind: "transformers.js" },
};

/** Whether it computes on a GPU. */
export function isOnGpu(peer: Peer): boolean {
  const engine = ENGINES[peer];
  return engine.kind === "winnow" ? engine.backend === "webgpu" : engine.kind === "llama.cpp" && engine.gpu !== false;
}

/** Whether slots are there for a part of the tokens only. */
export function isHalfCut(peer: Peer): boolean {
  const engine = ENGINES[peer];
  return engine.kind === "winnow" && engine.share < 1;
}
