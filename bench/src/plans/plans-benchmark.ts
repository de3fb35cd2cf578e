import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { CONVERT_TYPES, convertModel, idsPart, loadModel, openBackend } from "@winnow/runtime";

import type { BenchmarkOptions } from "../arguments";
import { alignColumns } from "../columns";
import { tell } from "../progress";
import { repositoryRoot } from "../repository";

/** By recovery, as what changes a plan is then the price of a candidate alone. */
const POLICIES = [
  { policy: "fastgen", recovery: 0.95 },
  { policy: "adaptive", recovery: 0.9 },
] as const;
const LEAST_TOKENS = 150;
const PROMPTS = 16;

/** What heads do with one prompt. */
interface Plan {
  readonly policies: readonly string[];
  readonly recoveries: readonly number[];
  readonly kept: number;
  readonly slots: number;
}

interface PlanRow {
  readonly policy: string;
  readonly type: string;
  /** Share of the heads of all prompts that take the policy they take in f32. */
  readonly same: number;
  /** Mean difference of their recovery. */
  readonly recoveryDifference: number;
  /** Share of the prompts' slots that are kept. */
  readonly kept: number;
}

/** Print how far a head's policy depends on the type of the weights: the demo model in each, against itself in f32. */
export async function runPlansBenchmark({ json }: BenchmarkOptions): Promise<void> {
  const prompts = longPrompts();
  const folder = await mkdtemp(join(tmpdir(), "winnow-plans-"));
  const plans = new Map<string, Plan[]>();
  try {
    for (const type of CONVERT_TYPES) {
      const path = join(folder, `${type}.gguf`);
      await convertModel(join(repositoryRoot(), "models/demo"), path, { type });
      using model = await loadModel(path, { backend: await openBackend("cpu") });
      for (const { policy, recovery: threshold } of POLICIES) {
        tell(`${type}: ${policy}`);
        const found: Plan[] = [];
        for (const ids of prompts) {
          using session = model.createSession({ policy, recovery: threshold });
          await session.read([idsPart(model.tokenizer, ids)]);
          const { plan, recovery, kept } = session.sequence.report();
          const heads = kept.flat();
          found.push({
            policies: plan.flat(),
            recoveries: recovery.flat().map((value) => value ?? NaN),
            kept: heads.reduce((sum, slots) => sum + slots, 0),
            slots: heads.length * ids.length,
          });
        }
        plans.set(`${policy} ${type}`, found);
      }
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  const rows = POLICIES.flatMap(({ policy }) =>
    CONVERT_TYPES.map((type) =>
      rowOf(policy, type, plans.get(`${policy} ${type}`) ?? [], plans.get(`${policy} f32`) ?? []),
    ),
  );
  process.stdout.write(
    json ? `${JSON.stringify({ prompts: prompts.length, rows }, null, 1)}\n` : formatRows(prompts.length, rows),
  );
}

function rowOf(policy: string, type: string, plans: readonly Plan[], plain: readonly Plan[]): PlanRow {
  const heads = plans.flatMap((plan, p) =>
    plan.policies.map((text, head) => ({
      same: text === plain[p]?.policies[head],
      difference: Math.abs((plan.recoveries[head] ?? NaN) - (plain[p]?.recoveries[head] ?? NaN)),
    })),
  );
  const sum = (of: (plan: Plan) => number): number => plans.reduce((total, plan) => total + of(plan), 0);
  return {
    policy,
    type,
    same: heads.filter(({ same }) => same).length / heads.length,
    recoveryDifference: heads.reduce((total, { difference }) => total + difference, 0) / heads.length,
    kept: sum(({ kept }) => kept) / sum(({ slots }) => slots),
  };
}

function formatRows(prompts: number, rows: readonly PlanRow[]): string {
  const percent = (share: number, digits: number): string => `${(100 * share).toFixed(digits)} %`;
  const lines = alignColumns([
    ["policy", "weights", "heads as in f32", "recovery differs by", "slots kept"],
    ...rows.map(({ policy, type, same, recoveryDifference, kept }) => [
      policy,
      type,
      percent(same, 1),
      percent(recoveryDifference, 2),
      percent(kept, 1),
    ]),
  ]);
  return `models/demo, ${prompts} prompts of at least ${LEAST_TOKENS} tokens\n\n${lines.join("\n")}\n`;
}

/** The first of the goldens' prompts that are long enough. */
function longPrompts(): number[][] {
  const lines = readFileSync(join(repositoryRoot(), "goldens/demo.jsonl"), "utf8").trim().split("\n");
  const prompts = lines.map((line) => (JSON.parse(line) as { ids: number[] }).ids);
  return prompts.filter(({ length }) => length >= LEAST_TOKENS).slice(0, PROMPTS);
}
