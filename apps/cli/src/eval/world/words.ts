/** The words of the demo model's world: its corpus (`tools/demo-model/corpus.py`) has no others. */
export const WORDS = {
  names:
    "Mira Tom Ana Leo Nora Finn Ruth Omar Ivy Hugo Lena Max Zoe Paul Cara Ben Elsa Jack Mona Carl Dina Eric Faye Glen Hana Igor Jane Kurt Lily Mark Nina Otto Pia Rosa Sam Tara Uma Vera Will Yara Abel Beth Cleo Dora Ezra Gwen Ines Joel Kira Luis".split(
      " ",
    ),
  colors: "red blue green black white yellow silver golden purple brown orange grey".split(" "),
  objects:
    "key lamp book coin map ring cup box bell drum flag hat knife mirror pen rope scarf shell spoon stone sword ticket torch violin watch basket blanket candle feather ladder".split(
      " ",
    ),
  places:
    "kitchen garden attic cellar library harbour market school tower barn forest station bakery workshop museum chapel castle cave mill stable office hospital theatre bridge".split(
      " ",
    ),
  jobs: "baker teacher doctor farmer sailor painter singer tailor miner lawyer pilot nurse cook guard writer gardener potter weaver barber clerk".split(
    " ",
  ),
  cities:
    "Arlen Brost Calder Dunmore Elmwood Farrow Grenville Hastel Iveron Jorvik Kestrel Lorne Marston Norwick Oakham Penrith".split(
      " ",
    ),
  animals: "cat dog horse goat rabbit fox owl duck mouse bear sheep pony crow frog hen wolf".split(" "),
  foods: "bread soup cheese apples honey plums pears rice cake nuts beans eggs milk tea berries corn".split(" "),
  days: "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split(" "),
  moods: "happy sad tired proud quiet angry calm curious brave lonely".split(" "),
  weather: "sunny rainy windy snowy cloudy foggy warm cold".split(" "),
  numbers: "two three four five six seven eight nine ten eleven twelve".split(" "),
  relations: "brother sister cousin uncle aunt neighbour teacher friend".split(" "),
} as const;
