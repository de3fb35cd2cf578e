import { decodeText } from "./json-file";
import type { ModelFiles } from "./model-files";
import { bytesOf, openUrl, request } from "./open-url";

/**
 * A model's files behind a web server, in browsers and in Node. Weights are fetched tensor by tensor where the server
 * knows ranges, and else file by file.
 *
 * @param baseUrl of the folder with `config.json`; in a page it may be relative to the page.
 * @example using model = await loadModel(fetchedFiles("models/demo"), { backend: await openBackend("webgpu") });
 */
export function fetchedFiles(baseUrl: string): ModelFiles {
  const path = baseUrl.replace(/\/+$/, "");
  const pathOf = (name: string): string => `${path}/${name.split("/").map(encodeURIComponent).join("/")}`;
  return {
    path,
    pathOf,
    // A server knows files, not folders: what is not there shows at the first file.
    expectPlace: () => Promise.resolve(),
    readText: async (name) => {
      const url = pathOf(name);
      const response = await request(url);
      return response === null ? null : decodeText(await bytesOf(response, url), url);
    },
    open: (name) => openUrl(pathOf(name)),
  };
}
