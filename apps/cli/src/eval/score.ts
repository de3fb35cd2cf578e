import type { Grading } from "./tasks/task";

/** How one answer went, teacher-forced. */
export interface AnswerScore {
  /** In [0, 1]; what it means is the task's grading. */
  readonly score: number;
  /** KL divergence from the full cache's distributions, a mean over the answer's tokens, in nats. */
  readonly kl: number;
  /** The share of tokens whose first choice is the full cache's. */
  readonly agreement: number;
}

/**
 * @param found logits [vocabulary] for each token of the answer.
 * @param full the full cache's.
 */
export function scoreAnswer(
  grading: Grading,
  answer: readonly number[],
  found: readonly Float32Array[],
  full: readonly Float32Array[],
): AnswerScore {
  let right = 0;
  let same = 0;
  let kl = 0;
  let logLikelihood = 0;
  answer.forEach((token, i) => {
    const own = found[i] ?? new Float32Array(0);
    const whole = full[i] ?? new Float32Array(0);
    const choice = firstChoice(own);
    if (choice === token) right++;
    if (choice === firstChoice(whole)) same++;
    const [q, p] = [logProbabilities(own), logProbabilities(whole)];
    logLikelihood += q[token] ?? NaN;
    for (let t = 0; t < p.length; t++) kl += Math.exp(p[t] ?? NaN) * ((p[t] ?? NaN) - (q[t] ?? NaN));
  });
  const count = Math.max(1, answer.length);
  return {
    score: graded(grading, right, logLikelihood, count),
    kl: kl / count,
    agreement: answer.length === 0 ? 1 : same / count,
  };
}

function graded(grading: Grading, right: number, logLikelihood: number, count: number): number {
  switch (grading) {
    case "exact":
      return right === count ? 1 : 0;
    case "graded":
      return right / count;
    case "likelihood":
      return Math.exp(logLikelihood / count);
  }
}

/** The token that greedy decoding takes: the first of the greatest. */
function firstChoice(logits: Float32Array): number {
  let best = 0;
  for (let token = 1; token < logits.length; token++) {
    if ((logits[token] ?? -Infinity) > (logits[best] ?? -Infinity)) best = token;
  }
  return best;
}

function logProbabilities(logits: Float32Array): Float64Array {
  const greatest = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - greatest);
  const normaliser = greatest + Math.log(sum);
  return Float64Array.from(logits, (logit) => logit - normaliser);
}
