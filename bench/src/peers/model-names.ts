/** What a command line calls the models that peers are compared on: a shape, and the type of its weights. */
export const PEER_MODELS = ["135m q8_0", "135m f16", "1b f16", "1b q4_k", "8b f16", "8b q4_k", "demo f16"] as const;
export type PeerModelName = (typeof PEER_MODELS)[number];
