export * from "./api";
export { directoryFiles } from "./files/directory-files";
export { CONVERT_TYPES, convertModel, type ConvertOptions } from "./convert/convert";
export { restoreSession, saveSession, type RestoredSession } from "./session/session-file";
