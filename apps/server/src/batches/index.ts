export { batchRoutes } from "./batch-routes";
export type { Batches } from "./batches";
export { openBatches, type BatchOptions } from "./open-batches";
export { BATCH_ENDPOINTS, type BatchEndpoint, type RunLine } from "./run-line";
