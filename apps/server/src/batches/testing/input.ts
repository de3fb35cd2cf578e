/** A batch's input with one line for each body. */
export function inputOf(bodies: readonly object[]): File {
  const lines = bodies.map((body, i) =>
    JSON.stringify({ custom_id: `line-${i}`, method: "POST", url: "/v1/chat/completions", body }),
  );
  return new File([`${lines.join("\n")}\n`], "input.jsonl");
}

/** `count` lines that `slowEcho` answers with 0, 1, 2, ... */
export function numbered(count: number, extra: object = {}): File {
  return inputOf(Array.from({ length: count }, (_, n) => ({ n, ...extra })));
}
