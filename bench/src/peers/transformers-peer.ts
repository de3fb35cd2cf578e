import { AutoModelForCausalLM, DynamicCache, StoppingCriteria, Tensor, env } from "@huggingface/transformers";

import { randomFloats } from "../gpu/random-data";
import { median } from "../gpu/stopwatch";
import { roomFor, type Job, type Measured } from "./job";
import { StepClock } from "./step-clock";
import { WARM_PROMPT, warmTokens, warmUp } from "./warm-up";

/** Measure Transformers.js, on ONNX Runtime's CPU kernels. */
export async function measureTransformers(job: Job): Promise<Measured> {
  const { batch, context, threads } = job;
  env.allowRemoteModels = false;
  const started = performance.now();
  const model = await AutoModelForCausalLM.from_pretrained(job.path, {
    dtype: job.precision,
    device: "cpu",
    local_files_only: true,
    session_options: { intraOpNumThreads: threads },
  });
  const loadMs = performance.now() - started;
  const prompt = job.prompt;
  const first = ids(batch, prompt.slice(0, WARM_PROMPT));
  await warmUp(() => model.generate({ inputs: first, max_new_tokens: warmTokens(batch), do_sample: false }));
  const clock = new StepClock(batch, job.steps);
  const steps = new TimedSteps(clock, batch);
  const handed = performance.now();
  const options = { max_new_tokens: roomFor(job), do_sample: false, stopping_criteria: steps };
  if (job.start === "read") await model.generate({ inputs: ids(batch, prompt), ...options });
  else {
    await model.generate({
      inputs: ids(batch, prompt.slice(0, 1)),
      attention_mask: new Tensor("int64", new BigInt64Array(batch * (context + 1)).fill(1n), [batch, context + 1]),
      past_key_values: filledCache(job),
      ...options,
    });
  }
  return {
    loadMs,
    firstTokenMs: job.start === "read" ? steps.first - handed : null,
    stepMs: median(clock.times),
    steps: clock.times.length,
    deviceBytes: null,
    kept: 1,
  };
}

/** Asked behind each token whether the answers end there. */
class TimedSteps extends StoppingCriteria {
  first = NaN;

  constructor(
    private readonly clock: StepClock,
    private readonly batch: number,
  ) {
    super();
  }

  override _call(answers: number[][]): boolean[] {
    if (Number.isNaN(this.first)) this.first = performance.now();
    for (let answer = 0; answer < this.batch; answer++) this.clock.note();
    return answers.map(() => this.clock.done);
  }
}

function ids(batch: number, prompt: readonly number[]): Tensor {
  const rows = Array.from({ length: batch }, () => prompt).flat();
  return new Tensor("int64", BigInt64Array.from(rows.map(BigInt)), [batch, prompt.length]);
}

/** Random keys and values of as many tokens as the context has. */
function filledCache({ shape: { layers, kvHeads, headDim }, batch, context }: Job): DynamicCache {
  const entries: Record<string, Tensor> = {};
  for (let l = 0; l < layers; l++) {
    for (const part of ["key", "value"]) {
      const data = randomFloats(batch * kvHeads * context * headDim);
      entries[`past_key_values.${l}.${part}`] = new Tensor("float32", data, [batch, kvHeads, context, headDim]);
    }
  }
  return new DynamicCache(entries);
}
