import { definePolicy } from "../plugin";
import { top } from "../policy";

/**
 * The floor that any policy has to beat: slots drawn at random, others in each head.
 *
 * @example resolvePolicy("random(30%)");
 */
export const random = definePolicy({
  name: "random",
  source: "random eviction, the floor",
  budget: 0.5,
  candidates: (x) => [top("random(1)", x)],
});
