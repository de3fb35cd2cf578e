import { expect, test } from "vitest";

import { Turns } from "./turns";

test("turns are taken one at a time, in order", async () => {
  const turns = new Turns();
  const events: string[] = [];
  const work = async (name: string): Promise<void> => {
    using _ = await turns.take(undefined, name);
    events.push(`${name} begins`);
    await new Promise((resolve) => setTimeout(resolve, 1));
    events.push(`${name} ends`);
  };
  await Promise.all(["a", "b", "c"].map(work));
  expect(events).toEqual(["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]);
});

test("a turn that is given back twice is given back once", async () => {
  const turns = new Turns();
  const first = await turns.take(undefined, "first");
  const second = turns.take(undefined, "second");
  first[Symbol.dispose]();
  using _ = await second;
  first[Symbol.dispose]();
  let begun = false;
  void turns.take(undefined, "third").then(() => (begun = true));
  await new Promise((resolve) => setTimeout(resolve, 1));
  expect(begun).toBe(false);
});

test("who is aborted while waiting is told, and the next one moves up", async () => {
  const turns = new Turns();
  const first = await turns.take(undefined, "first");
  const abort = new AbortController();
  const second = turns.take(abort.signal, "the second work");
  const third = turns.take(undefined, "third");
  abort.abort();
  await expect(second).rejects.toMatchObject({ code: "aborted", message: "the second work was aborted" });
  await expect(turns.take(AbortSignal.abort(), "late work")).rejects.toMatchObject({ code: "aborted" });
  first[Symbol.dispose]();
  (await third)[Symbol.dispose]();
  using _ = await turns.take(abort.signal, "free work");
});
