import { BUCKETS } from "./sample-weights";

/** Words of the histogram: counts, low and high words of the masses, and the mass that min-p leaves. */
export const HISTOGRAM_WORDS = 3 * BUCKETS + 2;
