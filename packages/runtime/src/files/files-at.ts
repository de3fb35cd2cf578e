import { platform } from "../platform/node";
import type { ModelFiles } from "./model-files";

/** Files as they are, or those at a place: a directory in Node, a URL in a browser. */
export function filesAt(place: string | ModelFiles): ModelFiles {
  return typeof place === "string" ? platform.filesAt(place) : place;
}
