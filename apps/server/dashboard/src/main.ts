import { AnswerSettings } from "./answer-settings";
import { ApiKey } from "./api-key";
import { CacheView } from "./cache-view";
import { Chat } from "./chat";
import { Connection } from "./connection";
import { byId } from "./element";
import { HeatMap } from "./heat-map";
import { HeatSource } from "./heat-source";
import { LoadView } from "./load-view";
import { Poller } from "./poller";
import { Server } from "./server";
import { ServerError, explain } from "./server-error";
import type { SlotsReport } from "./slots-report";

/** For how long a server that does not answer is left alone. */
const AFTER_FAILURE_MS = 4000;

const key = new ApiKey(() => {
  poller.now();
});
const server = new Server(key);
const settings = new AnswerSettings();
const connection = new Connection();
const cache = new CacheView();
const load = new LoadView();
const heat = new HeatSource(new HeatMap());
const serving = byId("serving", HTMLParagraphElement);
let modelsKnown = false;

function show(report: SlotsReport): void {
  const now = performance.now();
  serving.textContent = [report.model, report.backend].filter((word) => word !== "").join(" · ");
  cache.show(report, now);
  load.show(report, now);
  heat.slots = report.slots;
}

/** @returns for how long to leave the server alone. */
async function look(): Promise<number> {
  try {
    if (!modelsKnown) settings.models = await server.models();
    modelsKnown = true;
    show(await server.slots());
    connection.connected();
    return 0;
  } catch (error) {
    if (error instanceof ServerError && error.status === 401) {
      connection.lost("The server asks for a key.");
      return Infinity;
    }
    connection.lost(explain(error));
    const retryAfter = error instanceof ServerError ? error.retryAfterSeconds : null;
    return Math.max(AFTER_FAILURE_MS, 1000 * (retryAfter ?? 0));
  }
}

const poller = new Poller(look);
new Chat(server, settings, (reports) => {
  heat.answers = reports;
  poller.now();
});
poller.now();
