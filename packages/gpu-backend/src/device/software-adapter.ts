/** Drivers that compute on the CPU, by what their adapters say of themselves. */
const SOFTWARE: readonly (readonly [name: string, pattern: RegExp])[] = [
  ["llvmpipe", /llvmpipe|lavapipe/i],
  ["SwiftShader", /swiftshader/i],
  ["Microsoft Basic Render Driver", /basic render|\bwarp\b/i],
];

/** The name of the software that imitates a GPU here; null where there is a real one. */
export function softwareName(info: GPUAdapterInfo): string | null {
  const text = [info.vendor, info.architecture, info.device, info.description].join(" ");
  const known = SOFTWARE.find(([, pattern]) => pattern.test(text));
  if (known !== undefined) return known[0];
  return info.isFallbackAdapter || info.architecture === "software" ? "an unnamed software adapter" : null;
}
