import { mkdir, writeFile } from "node:fs/promises";
import { totalmem } from "node:os";
import { join } from "node:path";

import { requestGpu } from "@winnow/gpu-backend";
import { WinnowError } from "@winnow/core-tensor";

import type { PeersBenchmarkOptions } from "../arguments";
import { thisMachine } from "../machine";
import { tell } from "../progress";
import { repositoryRoot } from "../repository";
import { BATCHES, CONTEXTS, MOST_READ, defaultCells, mostSeconds, planCells, whySkipped, type Cell } from "./cells";
import { formatPeers } from "./format-peers";
import { linePlot } from "./line-plot";
import { PEER_MODELS, type PeerModelName } from "./model-names";
import { peerFiles, type PeerFiles } from "./models";
import { PEERS, isOnGpu, type Peer } from "./peer";
import { isMeasured, type PeerRow } from "./peer-row";
import { resultOf, rowOf } from "./peers-result";
import { resultText } from "./result-text";
import { samplePeer, type Outcome } from "./sample-peer";

const NOTES = [
  `Prompts of up to ${MOST_READ} tokens are read, by batches of 1. Behind longer ones and for larger batches caches are filled: Winnow's and Transformers.js's with random keys and values, llama.cpp's by a saved state that repeats those of 64 tokens. No first token is timed there: Winnow takes over a minute to read 16,000 on two cores.`,
  `llama.cpp has its cache in f16 with flash attention, Winnow and Transformers.js theirs in f32. Transformers.js's model has q8_0 weights to the bit, and f16 ones widened. All use as many threads as there are cores; llama.cpp, whose threads spin, gets the better of that and of one fewer.`,
  `"half cut": half of the context's tokens have slots. 135m: the shape of SmolLM2-135M with random weights, by whose attention no policy decides anything that a trained model's would: there fastgen and adaptive show what deciding takes.`,
];

/** Compare Winnow with llama.cpp and Transformers.js on the same weights and prompts: a table, a plot and JSON. */
export async function runPeersBenchmark(options: PeersBenchmarkOptions): Promise<void> {
  const { json, runs, out } = options;
  const isGpu = await hasGpu();
  const peers = PEERS.filter((peer) => isGpu || !isOnGpu(peer));
  const isChosen = options.models.length + options.contexts.length + options.batches.length > 0;
  const cells = isChosen
    ? planCells(
        {
          models: orAll(options.models, PEER_MODELS),
          contexts: orAll(options.contexts, CONTEXTS),
          batches: orAll(options.batches, BATCHES),
        },
        peers,
      )
    : defaultCells(peers);
  const rows = await measureCells(cells, runs);
  const notes = isGpu
    ? NOTES
    : [...NOTES, "There is no GPU, so that Winnow on WebGPU and llama.cpp on Vulkan are left out."];
  const result = resultOf({ machine: thisMachine(), memoryBytes: totalmem(), runs, notes, rows });
  const text = resultText(result);
  const folder = out ?? join(repositoryRoot(), ".reports");
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "peers.json"), text);
  await writeFile(join(folder, "peers.svg"), plotOf(rows, cells[0]?.model ?? "135m q8_0"));
  process.stdout.write(json ? text : formatPeers(result));
  tell(`${folder}: peers.json and peers.svg`);
}

/** Rounds over all cells, so that a busy moment falls on all peers alike. */
export async function measureCells(cells: readonly Cell[], runs: number): Promise<PeerRow[]> {
  const memory = totalmem();
  const outcomes = new Map<Cell, Outcome[]>(
    cells.map((cell) => {
      const why = whySkipped(cell, memory);
      return [cell, why === null ? [] : [{ kind: "skipped", why }]];
    }),
  );
  const files = new Map<PeerModelName, PeerFiles>();
  for (let round = 0; round < runs; round++) {
    for (const [cell, found] of outcomes) {
      if (found.some(({ kind }) => kind === "skipped")) continue;
      const { peer, model, context, batch } = cell;
      const of = files.get(model) ?? (await peerFiles(model));
      files.set(model, of);
      tell(`${round + 1} of ${runs}: ${model}, ${context} × ${batch}: ${peer}, at most ${mostSeconds(model)} s`);
      found.push(await samplePeer(cell, of));
    }
  }
  return [...outcomes].map(([cell, found]) => rowOf(cell, found));
}

function orAll<T>(chosen: readonly T[], all: readonly T[]): readonly T[] {
  return chosen.length === 0 ? all : chosen;
}

async function hasGpu(): Promise<boolean> {
  try {
    await requestGpu({ allowSoftware: false });
    return true;
  } catch (error) {
    if (error instanceof WinnowError) return false;
    throw error;
  }
}

/** Milliseconds a token of one answer, by context. */
function plotOf(rows: readonly PeerRow[], model: PeerModelName): string {
  const shown = rows.filter(isMeasured).filter((row) => row.model === model && row.batch === 1);
  const linesOf = (peer: Peer) => {
    const points = shown
      .filter((row) => row.peer === peer)
      .map(({ context, stepMs: { median, least, most } }) => ({ x: context, y: median, least, most }));
    return points.length === 0 ? [] : [{ name: peer, points }];
  };
  return linePlot({
    title: `${model}: milliseconds a token behind a context`,
    x: "tokens of context",
    y: "ms a token",
    scale: "logarithmic",
    ticks: [...new Set(shown.map(({ context }) => context))].sort((a, b) => a - b),
    lines: PEERS.flatMap(linesOf),
  });
}
