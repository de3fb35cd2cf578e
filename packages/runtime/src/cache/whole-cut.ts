import { WinnowError } from "@winnow/core-tensor";
import type { LayerView } from "@winnow/kv-policies";

import { lastWithin, type ByteTarget, type Fitted, type Turned } from "./byte-target";
import { decisionFor } from "./cut-decision";
import { CutJudge, type Choice, type Measured } from "./cut-judge";
import { fullSlotBytes, keptBytes } from "./kept-bytes";
import type { LayerProfile } from "./layer-profile";
import { selectSlots } from "./select-slots";
import { sharedColumns, storedColumns } from "./stored-columns";
import { upgradesOf } from "./upgrade-chain";

/** By layer and KV head. */
type Choices = readonly (readonly Choice[])[];

/** A way to cut the whole model. */
interface WholeChoice {
  readonly choices: Choices;
  readonly scores: CutJudge["scores"];
  readonly fitted: Fitted | null;
}

/**
 * Cut a prompt of which every slot of every layer is in pages and was seen: all heads are decided over together.
 *
 * @param profiles by layer, collected; a column of a slot table is the slot of that number.
 */
export async function cutWhole(judge: CutJudge, profiles: readonly LayerProfile[]): Promise<void> {
  const { sequence } = judge;
  const { target } = sequence.policy;
  const whole =
    target === null
      ? { choices: await decideAll(judge, profiles), scores: judge.scores, fitted: null }
      : await fit(judge, profiles, target);
  sequence.fitted = whole.fitted;
  for (const [l, profile] of profiles.entries()) {
    const choices = whole.choices[l] ?? [];
    const kept = await selectSlots({ sequence, scores: whole.scores }, l, profile, choices);
    compactLayer({ sequence, scores: whole.scores }, l, profile, choices, kept);
  }
  sequence.noteBytes(0);
}

async function decideAll(judge: CutJudge, profiles: readonly LayerProfile[]): Promise<Choices> {
  if (judge.decision.kind === "strategy") return adoptAll(judge, profiles, await viewAll(judge, profiles));
  const choices: (readonly Choice[])[] = [];
  for (const [l, profile] of profiles.entries()) choices.push(await judge.decide(l, profile));
  return choices;
}

async function viewAll(judge: CutJudge, profiles: readonly LayerProfile[]): Promise<readonly LayerView[]> {
  const views: LayerView[] = [];
  for (const [l, profile] of profiles.entries()) views.push(await judge.view(l, profile));
  return views;
}

async function adoptAll(
  judge: CutJudge,
  profiles: readonly LayerProfile[],
  layers: readonly LayerView[],
): Promise<Choices> {
  const { decision } = judge;
  if (decision.kind !== "strategy") throw new WinnowError("range", "only a strategy decides over views");
  const policies = decision.strategy.decideModel({ layers, recovery: decision.threshold });
  const choices: (readonly Choice[])[] = [];
  for (const [l, profile] of profiles.entries()) {
    choices.push(await judge.adopt(decision.strategy, policies[l] ?? [], l, profile));
  }
  return choices;
}

/** The cut that keeps the most within a target. */
async function fit(judge: CutJudge, profiles: readonly LayerProfile[], target: ByteTarget): Promise<WholeChoice> {
  const { sequence } = judge;
  const limit = target.share * fullSlotBytes(sequence.engine.store.layout, sequence.tokens.length);
  const steps = await stepsOf(judge, profiles, target.turned);
  const best = await lastWithin(steps.count, limit, async (step) => bytesOf(sequence, profiles, await steps.at(step)));
  const whole = await steps.at(best);
  // Where nothing was priced to find it, what was found is.
  return target.turned.kind === "weight"
    ? { ...whole, choices: await pricedAll(judge, profiles, whole.choices) }
    : whole;
}

async function pricedAll(judge: CutJudge, profiles: readonly LayerProfile[], choices: Choices): Promise<Choices> {
  const priced: (readonly Choice[])[] = [];
  for (const [l, profile] of profiles.entries()) priced.push(await judge.priced(l, profile, choices[l] ?? []));
  return priced;
}

/** Ways to cut, of which a later one keeps no less. */
interface Steps {
  readonly count: number;
  readonly at: (step: number) => Promise<WholeChoice>;
}

function stepsOf(judge: CutJudge, profiles: readonly LayerProfile[], turned: Turned): Promise<Steps> {
  switch (turned.kind) {
    case "recovery":
      return byRecovery(judge, profiles);
    case "weight":
      return byWeight(judge, profiles);
    case "budget":
      return byBudget(judge, profiles, turned.decisionAt);
  }
}

/** One between each two weights that are the greatest of some slot: all heads share one budget (KVzip, arXiv 2505.23416). */
async function byWeight(judge: CutJudge, profiles: readonly LayerProfile[]): Promise<Steps> {
  const views = await viewAll(judge, profiles);
  const greatest = views.flatMap(({ heads }) =>
    heads.flatMap(({ columns, count }) => [...(columns.maxWeight?.subarray(0, count) ?? [])]),
  );
  const weights = [...new Set([2, ...greatest, 0])].sort((a, b) => b - a);
  return {
    count: weights.length - 1,
    at: (step) => {
      const weight = ((weights[step] ?? 0) + (weights[step + 1] ?? 0)) / 2;
      const choices = views.map((view, l) => judge.greatest(l, view, weight));
      return Promise.resolve({ choices, scores: judge.scores, fitted: { kind: "weight", weight } });
    },
  };
}

/** One for each recovery that some candidate of some head has. */
async function byRecovery(judge: CutJudge, profiles: readonly LayerProfile[]): Promise<Steps> {
  const measured: (readonly Measured[])[] = [];
  for (const [l, profile] of profiles.entries()) measured.push(await judge.measure(l, profile));
  const found = measured.flat().flatMap(({ prices }) => prices.map(({ recovery }) => recovery ?? 0));
  const thresholds = [...new Set([0, ...found, 1])].sort((a, b) => a - b);
  return {
    count: thresholds.length,
    at: (step) => {
      const recovery = thresholds[step] ?? 0;
      const choices = measured.map((heads, l) => judge.search(l, heads, recovery));
      return Promise.resolve({ choices, scores: judge.scores, fitted: { kind: "recovery", recovery } });
    },
  };
}

/** One for each number of slots that a head may keep. */
async function byBudget(
  judge: CutJudge,
  profiles: readonly LayerProfile[],
  decisionAt: Extract<Turned, { kind: "budget" }>["decisionAt"],
): Promise<Steps> {
  const { sequence } = judge;
  const count = sequence.tokens.length;
  const views = judge.decision.kind === "strategy" ? await viewAll(judge, profiles) : null;
  return {
    count,
    at: async (step) => {
      const budget = (step + 1) / count;
      const decision = decisionAt(budget);
      const other = new CutJudge(sequence, decisionFor(sequence, decision), judge.angle.profiled);
      const choices = views === null ? await decideAll(other, profiles) : await adoptAll(other, profiles, views);
      return { choices, scores: other.scores, fitted: { kind: "budget", budget, decision } };
    },
  };
}

async function bytesOf(
  sequence: CutJudge["sequence"],
  profiles: readonly LayerProfile[],
  { choices, scores }: WholeChoice,
): Promise<number> {
  const { layout } = sequence.engine.store;
  let bytes = 0;
  for (const [l, profile] of profiles.entries()) {
    const ofLayer = choices[l] ?? [];
    const kept = await selectSlots({ sequence, scores }, l, profile, ofLayer);
    const columns = columnsAfter({ sequence, scores }, l, ofLayer, kept);
    kept.forEach((slots, head) => {
      bytes += keptBytes(layout, slots, columns[head] ?? []);
    });
  }
  return bytes;
}

type Judged = Pick<CutJudge, "sequence" | "scores">;

/** What each head of a layer stores beside its slots after a cut that keeps so many. */
function columnsAfter(
  { sequence, scores }: Judged,
  l: number,
  choices: readonly Choice[],
  kept: readonly number[],
): ReturnType<typeof storedColumns>[] {
  const layer = sequence.layers[l];
  const windowed = sequence.windowOf(l) !== null;
  const shared = sharedColumns({ sequence, scores }, choices);
  return choices.map(({ policy, candidate }, head) => {
    const known = layer?.columnsOf(head).includes("position") ?? false;
    const dropped = known || (kept[head] ?? 0) < (layer?.lengths[head] ?? 0);
    const upgrades = upgradesOf(sequence, { candidate });
    return storedColumns(policy, { dropped, windowed, shared, upgrades }, sequence.policy);
  });
}

function compactLayer(
  { sequence, scores }: Judged,
  l: number,
  { slots }: LayerProfile,
  choices: readonly Choice[],
  kept: readonly number[],
): void {
  const { backend, decoder } = sequence.engine;
  const layer = sequence.layers[l];
  if (layer === undefined) throw new WinnowError("range", `layer ${l} has no cache`);
  columnsAfter({ sequence, scores }, l, choices, kept).forEach((columns, head) => {
    layer.setColumns(head, columns);
  });
  const { heads } = decoder.shape;
  backend.compact({ heads, paged: layer.paged, slots: slots.table, keep: slots.keep, firstRow: 0 });
  kept.forEach((length, head) => {
    layer.resize(head, length);
  });
  // What waited was added when the slots were collected, and moved with them.
  layer.pending = false;
  sequence.heads[l] = choices.map(({ program: _, ...state }, head) => ({ ...state, kept: kept[head] ?? 0 }));
}
