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

/** What the full cache says of a token of the answer. */
export interface Reference {
  /** The token that it takes. */
  readonly first: number;
  /** Of every token of the vocabulary. */
  readonly probabilities: Float64Array;
  /** Their logarithms. */
  readonly logarithms: Float64Array;
}

/** @param logits [vocabulary] of the full cache. */
export function referenceOf(logits: Float32Array): Reference {
  const normaliser = normaliserOf(logits);
  const logarithms = Float64Array.from(logits, (logit) => logit - normaliser);
  return { first: firstChoice(logits), probabilities: logarithms.map(Math.exp), logarithms };
}

/**
 * @param found logits [vocabulary] for each token of the answer.
 * @param full the full cache's.
 */
export function scoreAnswer(
  grading: Grading,
  answer: readonly number[],
  found: readonly Float32Array[],
  full: readonly Reference[],
): AnswerScore {
  let right = 0;
  let same = 0;
  let kl = 0;
  let logLikelihood = 0;
  answer.forEach((token, i) => {
    const own = found[i] ?? new Float32Array(0);
    const { first, probabilities, logarithms } = full[i] ?? NOTHING;
    const choice = firstChoice(own);
    if (choice === token) right++;
    if (choice === first) same++;
    const normaliser = normaliserOf(own);
    logLikelihood += (own[token] ?? NaN) - normaliser;
    for (let t = 0; t < probabilities.length; t++) {
      kl += (probabilities[t] ?? 0) * ((logarithms[t] ?? NaN) - ((own[t] ?? NaN) - normaliser));
    }
  });
  const count = Math.max(1, answer.length);
  return {
    score: graded(grading, right, logLikelihood, count),
    kl: kl / count,
    agreement: answer.length === 0 ? 1 : same / count,
  };
}

const NOTHING: Reference = { first: NaN, probabilities: new Float64Array(0), logarithms: new Float64Array(0) };

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

/** ln Σ exp of some logits. */
function normaliserOf(logits: Float32Array): number {
  let greatest = -Infinity;
  for (const logit of logits) greatest = Math.max(greatest, logit);
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - greatest);
  return greatest + Math.log(sum);
}
