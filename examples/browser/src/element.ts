/**
 * An element of index.html.
 *
 * @example byId("ask", HTMLButtonElement).disabled = false;
 */
export function byId<E extends HTMLElement>(id: string, type: new () => E): E {
  const found = document.getElementById(id);
  if (found instanceof type) return found;
  throw new Error(`index.html has no ${type.name} with id "${id}"; found ${found?.tagName ?? "nothing"}`);
}
