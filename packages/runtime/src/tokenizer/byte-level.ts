/** GPT-2's table: printable bytes stand for themselves, the others for characters from U+0100 on. */
function byteCharacters(): ReadonlyMap<string, number> {
  const map = new Map<string, number>();
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    map.set(String.fromCodePoint(printable ? byte : next++), byte);
  }
  return map;
}

const BYTE_OF = byteCharacters();
const encoder = new TextEncoder();

/** The bytes that a byte-level token spells. One that is not spelled in the table's characters is plain text. */
export function byteLevelBytes(token: string): Uint8Array {
  const bytes: number[] = [];
  for (const character of token) {
    const byte = BYTE_OF.get(character);
    if (byte === undefined) return encoder.encode(token);
    bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}
