import type { Draw } from "./draw";
import { WORDS } from "./words";

/** A story, and the request for it. */
export function drawStory(draw: Draw): { readonly request: string; readonly text: string } {
  const { names, animals, objects, colors, places, foods, cities, moods, jobs, weather, days } = WORDS;
  const [n, m] = draw.two(names);
  const [p, p2] = draw.two(places);
  const [a, o, c, f] = [draw.one(animals), draw.one(objects), draw.one(colors), draw.one(foods)];
  const beats = [
    `One ${draw.one(weather)} morning, the ${c} ${o} was gone.`,
    `${n} looked for it in the ${p}, but it was not in the ${p}.`,
    `"Have you seen my ${c} ${o}?" ${n} asked ${m}.`,
    `"No," said ${m}, "but I can help you."`,
    `So ${n} and ${m} went to the ${p2} with the ${a}.`,
    `The ${a} was ${draw.one(moods)}, and ${m} gave the ${a} some ${f}.`,
    `After the ${f}, the ${a} ran to an old ${draw.one(objects)} near the ${p2}.`,
    `There, under the ${draw.one(objects)}, was the ${c} ${o}!`,
    `${n} was very happy and thanked ${m} and the ${a}.`,
  ];
  const kept = new Set(draw.shuffled([...beats.keys()]).slice(0, draw.whole(6, beats.length + 1)));
  const sentences = [
    `Once upon a time, in ${draw.one(cities)}, there lived a ${draw.one(jobs)} named ${n}.`,
    `${n} had a ${a} and a ${c} ${o}.`,
    ...beats.filter((_, i) => kept.has(i)),
    `From that day on, ${n} always kept the ${c} ${o} close, and ${m} came to visit every ${draw.one(days)}.`,
  ];
  return { request: `Tell me a story about ${n}, a ${a} and a ${c} ${o}.`, text: sentences.join(" ") };
}
