import { WinnowError } from "@winnow/core-tensor";

/**
 * Nothing but this machine is ever asked.
 *
 * @throws WinnowError `usage` for any other address.
 */
export function expectLoopback(url: string): void {
  if (URL.canParse(url) && new URL(url).hostname === "127.0.0.1") return;
  throw new WinnowError("usage", `the server is at "${url.slice(0, 200)}"; expected an address of 127.0.0.1`);
}
