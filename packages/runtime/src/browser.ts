/** The runtime for browsers: models come from URLs, and sessions are not saved to files. */
export * from "./api";
