import type { Logger } from "pino";

declare module "hono" {
  /** What every request carries. */
  interface ContextVariableMap {
    requestId: string;
    log: Logger;
    /** The name of the API key; empty where the server needs none. */
    owner: string;
    /** To be called when the last byte of the answer has been given; streams do it themselves. */
    answered: () => void;
  }
}
