import { percent } from "../../output/percent";
import { cutPointText } from "../../eval/cut-point";
import { limitName } from "../../eval/limit";
import { legend } from "../../eval/report/legend";
import { linePlot, percentTicks, type Axis, type PlotPoint } from "../../eval/report/line-plot";
import { strokeOf } from "../../eval/report/stroke";
import { PUNCTUATION_LAST, RATIO_POLICIES, WITHOUT } from "../chains";
import { TABLES_4_AND_5, TABLE_1, type PaperQuality } from "../paper";
import type { Quality } from "../quality";
import type { Part, Reproduction } from "../reproduction";
import { points, signed } from "./figures";
import type { Section } from "./section";

const HEAD = ["pruned", "win rate", "score", "against the full cache", "paper: pruned", "win rate"] as const;

/** Lines of one T. */
interface AtRecovery {
  readonly recovery: number;
  readonly of: readonly Quality[];
}

/** Tables 1, 4 and 5, and figure 6: what was pruned, and who wins against the full cache. */
export function qualitySections(reproduction: Reproduction): Readonly<Partial<Record<Part, Section>>> {
  const { quality, recovery } = reproduction;
  if (quality === null) return {};
  const lines: AtRecovery = { recovery, of: quality.filter((line) => line.recovery === recovery) };
  return {
    table1: byRecovery(reproduction, quality),
    table4: table("Table 4: one class left out", ["fastgen", ...WITHOUT.map(({ name }) => name)], lines),
    table5: table("Table 5: the order of the candidates", ["fastgen", PUNCTUATION_LAST.name], lines),
    figure6: byRatio(lines),
  };
}

function byRecovery({ question, tasks }: Reproduction, quality: readonly Quality[]): Section {
  const recoveries = TABLE_1.map(({ recovery }) => recovery);
  const own = quality.filter(
    ({ policy, recovery }) => policy === "fastgen" && recovery !== null && recoveries.includes(recovery),
  );
  const full = quality[0]?.score ?? NaN;
  return {
    title: "Table 1: what is pruned and what is lost, by T",
    note: `${own[0]?.samples ?? 0} answers to ${tasks.join(", ")}, ${cutPointText(question)}; the full cache scores ${percent(full)}. A win is an answer that scores more than the full cache's, and a tie is half a win; the paper has a judge.`,
    head: ["T", ...HEAD.slice(0, 4), ...["7B", "13B", "30B", "65B"].map((model) => `paper, ${model}`)],
    rows: own.map((line) => [
      limitName(line),
      ...measured(line),
      ...["7B", "13B", "30B", "65B"].map((model) => {
        const paper = TABLE_1.find((one) => one.model === model && one.recovery === line.recovery);
        return paper === undefined ? "" : `${percent(paper.pruned)}, wins ${percent(paper.win)}`;
      }),
    ]),
    picture: qualityPlot(own),
  };
}

function table(title: string, names: readonly string[], { recovery, of }: AtRecovery): Section {
  return {
    title,
    note: `At T = ${points(recovery)} %; the paper's figures are of Llama 1 65B at 98 %.`,
    head: ["candidates", ...HEAD],
    rows: names.flatMap((name) => {
      const line = of.find(({ policy }) => policy === name);
      return line === undefined ? [] : [[name, ...measured(line), ...paperCells(TABLES_4_AND_5[name])]];
    }),
    picture: null,
  };
}

function byRatio({ recovery, of: quality }: AtRecovery): Section {
  const lines = RATIO_POLICIES.flatMap((ratios) => {
    const line = quality.find(({ policy }) => policy === ratios.policy);
    return line === undefined ? [] : [{ ...ratios, line }];
  });
  const curves = [
    { name: "heavy hitters, the window at 0.3", of: lines.filter(({ recent }) => recent === 0.3), by: "frequent" },
    { name: "the window, heavy hitters at 0.3", of: lines.filter(({ frequent }) => frequent === 0.3), by: "recent" },
  ] as const;
  const names = curves.map(({ name }) => name);
  const distinct = lines.filter(({ policy }, i) => lines.findIndex((other) => other.policy === policy) === i);
  return {
    title: "Figure 6: shares of heavy hitters and of the window",
    note: `At T = ${points(recovery)} %. In the paper every one of them wins over 45 %.`,
    head: ["heavy hitters", "window", ...HEAD.slice(0, 4)],
    rows: distinct.map(({ frequent, recent, line }) => [String(frequent), String(recent), ...measured(line)]),
    picture: [
      legend(names.map((name) => [name, strokeOf(names, name)])),
      linePlot({
        label: distinct
          .map(({ frequent, recent, line }) => `heavy hitters ${frequent}, window ${recent}: wins ${percent(line.win)}`)
          .join("; "),
        x: {
          ...{ from: 0, to: 0.5, title: "share" },
          ticks: [0, 0.1, 0.2, 0.3, 0.4, 0.5].map((value) => ({ at: value, label: String(value) })),
        },
        y: winAxis(distinct.map(({ line }) => line.win)),
        level: { y: 0.45, label: "paper: over 45" },
        lines: curves.map(({ name, of, by }) => ({
          stroke: strokeOf(names, name),
          points: of.map((one) => pointAt(one[by], one.line.win, `${name}: ${one[by]}, wins ${percent(one.line.win)}`)),
        })),
      }),
    ].join("\n"),
  };
}

/** Win rate against what is pruned: the paper's models beside this one. */
function qualityPlot(own: readonly Quality[]): string {
  const models = [...new Set(TABLE_1.map(({ model }) => model))];
  const curves: readonly {
    readonly name: string;
    readonly of: readonly (PaperQuality & { recovery: number | null })[];
  }[] = [
    { name: "this model", of: own },
    ...models.map((model) => ({ name: `paper, ${model}`, of: TABLE_1.filter((one) => one.model === model) })),
  ];
  const names = curves.map(({ name }) => name);
  const titleOf = (name: string, { recovery, pruned, win }: PaperQuality & { recovery: number | null }): string =>
    `${name} at T ${points(recovery ?? NaN)} %: ${percent(pruned)} % pruned, wins ${percent(win)}`;
  return [
    legend(names.map((name) => [name, strokeOf(names, name)])),
    linePlot({
      label: own.map((line) => titleOf("this model", line)).join("; "),
      x: {
        ...{ from: 0, to: 1, title: "pruned, of the full cache" },
        ticks: [0, 0.25, 0.5, 0.75, 1].map((value) => ({ at: value, label: `${100 * value} %` })),
      },
      y: winAxis(own.map(({ win }) => win)),
      level: { y: 0.5, label: "the full cache" },
      lines: curves.map(({ name, of }) => ({
        stroke: strokeOf(names, name),
        points: of.map((one) => pointAt(one.pruned, one.win, titleOf(name, one))),
      })),
    }),
  ].join("\n");
}

/** From none to somewhat above the full cache, and further where a policy wins more often. */
function winAxis(wins: readonly number[]): Axis {
  const to = Math.max(0.6, Math.ceil(10 * Math.max(...wins)) / 10);
  return { from: 0, to, ticks: percentTicks(0, to, 0.1) };
}

function pointAt(x: number, y: number, title: string): PlotPoint {
  return { x, y, low: y, high: y, title };
}

function measured({ pruned, win, score, fullScore, low, high }: Quality): readonly string[] {
  const difference = `${signed(score - fullScore)} (${signed(low)} to ${signed(high)})`;
  return [percent(pruned), percent(win), percent(score), difference];
}

function paperCells(paper: PaperQuality | undefined): readonly string[] {
  return paper === undefined ? ["", ""] : [percent(paper.pruned), percent(paper.win)];
}
