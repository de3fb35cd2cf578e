/**
 * An element of index.html.
 *
 * @example byId("send", HTMLButtonElement).disabled = false;
 */
export function byId<E extends HTMLElement>(id: string, type: new () => E): E {
  const found = document.getElementById(id);
  if (found instanceof type) return found;
  throw new Error(`index.html has no ${type.name} with id "${id}"; found ${found?.tagName ?? "nothing"}`);
}

/**
 * A new element. What it says is set as text: nothing that a server or a model sends is ever read as markup.
 *
 * @example make("p", "quiet", "None.")
 */
export function make<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  className: string,
  ...content: (string | Node)[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  if (className !== "") element.className = className;
  element.append(...content);
  return element;
}
