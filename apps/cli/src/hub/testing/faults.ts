import { sendRange, type Fault } from "./loopback-hub";

/** An answer of some status, with nothing of use in it. */
export function status(code: number, headers: Readonly<Record<string, string>> = {}): Fault {
  return (response) => {
    response.writeHead(code, headers).end("sorry");
  };
}

/** All headers of a whole answer and some of its bytes; then the connection is cut. */
export function cutAt(bytes: number, from = 0): Fault {
  return (response, _, content) => {
    begin(response, content, from);
    // A connection that is cut drops what the other side has not read yet; on a busy machine that takes it a while.
    response.write(content.subarray(from, Math.max(from, bytes)), () => setTimeout(() => response.destroy(), 250));
  };
}

/** As {@link cutAt}, but the connection stays, and is silent. */
export function stallAt(bytes: number, from = 0): Fault {
  return (response, _, content) => {
    begin(response, content, from);
    response.write(content.subarray(from, Math.max(from, bytes)));
  };
}

/** Never anything at all. */
export const silence: Fault = () => undefined;

/** The whole file in pieces, some time apart. */
export function drip(pieces: number, ms: number): Fault {
  return (response, _, content) => {
    begin(response, content, 0);
    const size = Math.ceil(content.length / pieces);
    let at = 0;
    const timer = setInterval(() => {
      response.write(content.subarray(at, at + size));
      at += size;
      if (at < content.length) return;
      clearInterval(timer);
      response.end();
    }, ms);
  };
}

/** The whole file, whatever range was asked for. */
export const ignoreRange: Fault = (response, _, content) => {
  sendRange(response, content, 0);
};

/** Other bytes than the file's, of no announced length. */
export function body(text: string | Buffer, contentType = "application/octet-stream"): Fault {
  return (response) => {
    response.writeHead(200, { "content-type": contentType, "transfer-encoding": "chunked" }).end(text);
  };
}

function begin(response: Parameters<Fault>[0], content: Buffer, from: number): void {
  const length = { "content-length": content.length - from };
  if (from === 0) response.writeHead(200, length);
  else response.writeHead(206, { ...length, "content-range": `bytes ${from}-${content.length - 1}/${content.length}` });
}
