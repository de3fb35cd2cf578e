/** ColorBrewer's YlGnBu, as in the pictures that the profiler draws: even in lightness, so that it reads in grey too. */
const STOPS = [
  [237, 248, 217],
  [199, 233, 180],
  [127, 205, 187],
  [65, 182, 196],
  [29, 145, 192],
  [34, 94, 168],
  [37, 52, 148],
] as const;

/** The colour of a share, 0 to 1, and the ink that stands out on it. */
export function scaleColour(share: number): { readonly colour: string; readonly ink: string } {
  const place = Math.min(1, Math.max(0, share)) * (STOPS.length - 1);
  const low = STOPS[Math.floor(place)] ?? STOPS[0];
  const high = STOPS[Math.ceil(place)] ?? low;
  const blend = (channel: 0 | 1 | 2): number => low[channel] + (high[channel] - low[channel]) * (place % 1);
  const [red, green, blue] = [blend(0), blend(1), blend(2)];
  const luminance = 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
  // Where black and white are equally far away (WCAG 2).
  const ink = luminance > 0.179 ? "#000000" : "#ffffff";
  return { colour: `rgb(${Math.round(red)} ${Math.round(green)} ${Math.round(blue)})`, ink };
}

function linear(channel: number): number {
  const c = channel / 255;
  return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
}
