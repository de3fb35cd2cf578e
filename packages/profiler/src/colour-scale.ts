/** A colour in sRGB, 0 to 255 a channel. */
export type Colour = readonly [red: number, green: number, blue: number];

/**
 * A sequential scale from little to much, even in lightness so that it reads in grey and for colour-blind eyes:
 * points of ColorBrewer's YlGnBu, dark enough at both ends to stand on white and on black.
 */
const STOPS: readonly Colour[] = [
  [237, 248, 217],
  [199, 233, 180],
  [127, 205, 187],
  [65, 182, 196],
  [29, 145, 192],
  [34, 94, 168],
  [37, 52, 148],
];

/** The colour of a share, 0 to 1. */
export function scaleColour(share: number): Colour {
  const place = Math.min(1, Math.max(0, share)) * (STOPS.length - 1);
  const low = STOPS[Math.floor(place)] ?? [0, 0, 0];
  const high = STOPS[Math.ceil(place)] ?? low;
  const blend = (channel: 0 | 1 | 2): number => Math.round(low[channel] + (high[channel] - low[channel]) * (place % 1));
  return [blend(0), blend(1), blend(2)];
}

/** Black or white, whichever stands out more on a colour (relative luminance of WCAG 2). */
export function inkOn(colour: Colour): "black" | "white" {
  const [r, g, b] = colour.map((channel) => {
    const c = channel / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * (r ?? 0) + 0.7152 * (g ?? 0) + 0.0722 * (b ?? 0) > 0.3 ? "black" : "white";
}

export function cssColour([red, green, blue]: Colour): string {
  return `#${[red, green, blue].map((channel) => channel.toString(16).padStart(2, "0")).join("")}`;
}
