import { z } from "zod";

/** Who is compared, by the names that tables have. */
export const PEERS = [
  "winnow full",
  "winnow half cut",
  "winnow fastgen",
  "winnow adaptive",
  "winnow full on webgpu",
  "llama.cpp",
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
  | { readonly kind: "llama.cpp" }
  | { readonly kind: "transformers.js" };

export const ENGINES: Readonly<Record<Peer, Engine>> = {
  "winnow full": { kind: "winnow", policy: "full", backend: "cpu", share: 1 },
  "winnow half cut": { kind: "winnow", policy: "full", backend: "cpu", share: 0.5 },
  "winnow fastgen": { kind: "winnow", policy: "fastgen", backend: "cpu", share: 1 },
  "winnow adaptive": { kind: "winnow", policy: "adaptive", backend: "cpu", share: 1 },
  "winnow full on webgpu": { kind: "winnow", policy: "full", backend: "webgpu", share: 1 },
  "llama.cpp": { kind: "llama.cpp" },
  "transformers.js": { kind: "transformers.js" },
};
