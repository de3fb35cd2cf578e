/** How a line is drawn. */
export interface Stroke {
  readonly colour: string;
  readonly dash: string;
}

/** Apart from each other for colour-blind eyes (Okabe and Ito); lines of one colour differ in their dashes. */
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8b8b00"];
const DASHES = ["", "6 3", "2 3"];

/** How one of some names is drawn, in every plot that has the same names. */
export function strokeOf(names: readonly string[], name: string): Stroke {
  const place = Math.max(0, names.indexOf(name));
  return {
    colour: COLOURS[place % COLOURS.length] ?? "#666",
    dash: DASHES[Math.floor(place / COLOURS.length) % DASHES.length] ?? "",
  };
}
