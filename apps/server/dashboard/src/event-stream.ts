/**
 * Server-sent events (WHATWG HTML, section 9.2) out of text that is cut anywhere. EventSource itself cannot send a body
 * or a header, which a chat completion needs.
 */
export class EventStreamParser {
  #line = "";
  #data: string[] = [];
  #begun = false;
  /** Whether the last character was a CR: a LF that follows, perhaps in the next piece, ends no further line. */
  #afterReturn = false;

  /** @returns the data of every event that this piece completes. */
  push(piece: string): string[] {
    const complete: string[] = [];
    let from = 0;
    if (!this.#begun && piece !== "") {
      this.#begun = true;
      if (piece.startsWith("\uFEFF")) from = 1;
    }
    for (let at = from; at < piece.length; at++) {
      const character = piece[at];
      const second = this.#afterReturn && character === "\n";
      this.#afterReturn = character === "\r";
      if (second) {
        from = at + 1;
      } else if (character === "\n" || character === "\r") {
        const data = this.#endLine(this.#line + piece.slice(from, at));
        if (data !== null) complete.push(data);
        this.#line = "";
        from = at + 1;
      }
    }
    this.#line += piece.slice(from);
    return complete;
  }

  #endLine(line: string): string | null {
    if (line === "") {
      const data = this.#data.length === 0 ? null : this.#data.join("\n");
      this.#data = [];
      return data;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    // A comment has an empty name. Names, ids and times to retry mean nothing in a chat completion.
    if (field === "data") this.#data.push(colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, ""));
    return null;
  }
}

/** The data of the events in a body, as they come. What an aborted body leaves unfinished is dropped. */
export async function* eventData(body: ReadableStream<Uint8Array>): AsyncGenerator<string, void, undefined> {
  const parser = new EventStreamParser();
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield* parser.push(decoder.decode(value, { stream: true }));
    }
  } finally {
    // Nobody reads on: the server learns of it and stops computing.
    await reader.cancel().catch(() => undefined);
  }
}
