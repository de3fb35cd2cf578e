import { GPU_MODELS } from "./cells";
import type { Peer } from "./peer";
import type { MeasuredRow, PeerRow } from "./peer-row";

/** A target, and whether it is met; null where a cell that it needs was not measured. */
export interface Verdict {
  readonly target: string;
  readonly met: boolean | null;
  readonly found: string;
}

const MODEL = "135m q8_0";
const LEAST_DECODE = 0.8;
const LEAST_READING = 0.5;
const LEAST_CUT = 1.5;

/** What the comparison is for: Winnow on the CPU beside the others. */
export function verdictsOf(rows: readonly PeerRow[]): Verdict[] {
  const find = (peer: Peer, context: number): MeasuredRow | null => findRow(rows, MODEL, peer, context);
  const rate = (row: MeasuredRow | null): number | null => row?.tokensPerSecond.median ?? null;
  const reading = (row: MeasuredRow | null): number | null =>
    row?.firstTokenMs == null ? null : (1000 * row.context) / row.firstTokenMs.median;
  return [
    ratio(
      `decode at 1,000: at least ${LEAST_DECODE} of llama.cpp`,
      rate(find("winnow full", 1000)),
      rate(find("llama.cpp", 1000)),
      LEAST_DECODE,
    ),
    ratio(
      "decode at 16,000 with half of the cache cut: ahead of llama.cpp",
      rate(find("winnow half cut", 16_000)),
      rate(find("llama.cpp", 16_000)),
      1,
    ),
    ratio(
      `reading a prompt of 1,000: at least ${LEAST_READING} of llama.cpp`,
      reading(find("winnow full", 1000)),
      reading(find("llama.cpp", 1000)),
      LEAST_READING,
    ),
    aheadOfTransformers(rows),
    ...gpuVerdicts(rows),
  ];
}

/** Winnow on WebGPU beside llama.cpp on Vulkan, for each model of which both were asked for. */
function gpuVerdicts(rows: readonly PeerRow[]): Verdict[] {
  const models = GPU_MODELS.filter((model) =>
    rows.some((row) => row.model === model && row.peer === "llama.cpp on vulkan"),
  );
  return models.flatMap((model) => {
    const rate = (peer: Peer, context: number): number | null =>
      findRow(rows, model, peer, context)?.tokensPerSecond.median ?? null;
    return [
      ratio(
        `${model} on the GPU, decode at 128: not behind llama.cpp on Vulkan`,
        rate("winnow full on webgpu", 128),
        rate("llama.cpp on vulkan", 128),
        1,
      ),
      ratio(
        `${model} on the GPU, decode at 32,000 with half of the cache cut: at least ${LEAST_CUT} of llama.cpp on Vulkan`,
        rate("winnow half cut on webgpu", 32_000),
        rate("llama.cpp on vulkan", 32_000),
        LEAST_CUT,
      ),
    ];
  });
}

function findRow(rows: readonly PeerRow[], model: string, peer: Peer, context: number): MeasuredRow | null {
  const row = rows.find(
    (one) => one.model === model && one.batch === 1 && one.peer === peer && one.context === context,
  );
  return row === undefined || "skipped" in row ? null : row;
}

function ratio(target: string, ours: number | null, theirs: number | null, least: number): Verdict {
  if (ours === null || theirs === null) return { target, met: null, found: "not measured" };
  const share = ours / theirs;
  return {
    target,
    met: share >= least,
    found: `${share.toFixed(2)} (${ours.toFixed(1)} and ${theirs.toFixed(1)} tokens/s)`,
  };
}

function aheadOfTransformers(rows: readonly PeerRow[]): Verdict {
  const target = "ahead of Transformers.js everywhere";
  const compared = rows.flatMap((ours) => {
    if ("skipped" in ours || ours.peer !== "winnow full") return [];
    const theirs = rows.find(
      (row) =>
        row.peer === "transformers.js" &&
        row.model === ours.model &&
        row.context === ours.context &&
        row.batch === ours.batch,
    );
    if (theirs === undefined || "skipped" in theirs) return [];
    const where = `${ours.model}, ${ours.context}${ours.batch === 1 ? "" : ` × ${ours.batch}`}`;
    const decode = { what: `decode ${where}`, share: ours.tokensPerSecond.median / theirs.tokensPerSecond.median };
    const [first, other] = [ours.firstTokenMs, theirs.firstTokenMs];
    if (first === null || other === null) return [decode];
    return [decode, { what: `first token ${where}`, share: other.median / first.median }];
  });
  if (compared.length === 0) return { target, met: null, found: "not measured" };
  const behind = compared.filter(({ share }) => share < 1);
  const list = behind.map(({ what, share }) => `${what}: ${share.toFixed(2)}`).join("; ");
  const found = `ahead in ${compared.length - behind.length} of ${compared.length}`;
  return { target, met: behind.length === 0, found: behind.length === 0 ? found : `${found}; behind in ${list}` };
}
