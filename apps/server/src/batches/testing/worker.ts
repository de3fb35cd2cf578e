import { openBatches } from "../index";

import { slowEcho } from "./slow-echo";

/** A process that works on a test's batches: `worker.js REDIS_URL SETTINGS`. */
const [, , redisUrl = "", settings = "{}"] = process.argv;

await openBatches({
  model: "demo",
  redisUrl,
  ...(JSON.parse(settings) as object),
  run: async (url, body, signal) => {
    const answer = await slowEcho(url, body, signal);
    process.send?.({ ran: body });
    return answer;
  },
});
process.send?.({ ready: true });
