export * from "./api";
export { directoryFiles } from "./files/directory-files";
export { CONVERT_TYPES, convertModel } from "./convert/convert";
export type { ConvertOptions } from "./convert/convert-options";
export { restoreSession, saveSession, type RestoredSession } from "./session/session-file";
