import { definePolicy } from "../plugin";
import { newest } from "./observation-window";
import { full, limit, minus, recent, union } from "../policy";

/** Tokens that are always kept (Scissorhands, arXiv 2305.17118, section 4.1: r = 10). */
const RECENT = 10;

/**
 * What was pivotal stays pivotal: the tokens are kept that most often got more than a row's mean weight in a window of 400
 * rows, and the newest ones (Scissorhands, arXiv 2305.17118, algorithm 2). The rows are the prompt's; what is generated is
 * kept, where the paper compresses again whenever its buffer is full.
 */
export const scissorhands = definePolicy({
  name: "scissorhands",
  source: "Scissorhands, arXiv 2305.17118, algorithm 2",
  budget: 0.5,
  generated: "keep",
  candidates: (x) => {
    const window = recent(RECENT);
    return [union(newest(RECENT, x), limit(minus(full(), window), x, "hits"))];
  },
});
