export * from "./api";
export { directoryFiles } from "./files/directory-files";
export { restoreSession, saveSession, type RestoredSession } from "./session/session-file";
