/** A name from a file as a message may show it: quoted, on one line, of bounded length. */
export function quote(name: string): string {
  return JSON.stringify(name.length > 120 ? `${name.slice(0, 117)}...` : name);
}
