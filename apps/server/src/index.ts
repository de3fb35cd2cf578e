export { ApiError, type ApiErrorOptions, type ApiErrorStatus, type ApiErrorType } from "./http/api-error";
