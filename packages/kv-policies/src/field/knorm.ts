import { definePolicy } from "../plugin";
import { top } from "../policy";

/**
 * Keys that are short are attended to most: the shortest are kept ("A Simple and Effective L2 Norm-Based Strategy for KV
 * Cache Compression", arXiv 2406.11430, section 3).
 */
export const knorm = definePolicy({
  name: "knorm",
  source: "arXiv 2406.11430, section 3",
  budget: 0.5,
  candidates: (x) => [top("-keyNorm", x)],
});
