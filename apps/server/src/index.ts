export { startServer, type RunningServer, type ServerOptions } from "./server";
export { ApiKeys } from "./http/api-keys";
export { ApiError, type ApiErrorOptions, type ApiErrorStatus, type ApiErrorType } from "./http/api-error";
