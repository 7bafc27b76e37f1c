/** Elements of the page. */

type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;
type Child = Node | string;

/** An element with attributes — `true` for those without a value, `false` and undefined for none — and children. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) {
      made.setAttribute(name, value === true ? '' : String(value));
    }
  }
  made.append(...children);
  return made;
}

/** A button that does something. */
export function button(label: string, act: () => void, attributes: Attributes = {}): HTMLButtonElement {
  const made = element('button', { type: 'button', ...attributes }, label);
  made.addEventListener('click', act);
  return made;
}

/** A table with a caption that is read aloud alone. */
export function table(
  caption: string,
  head: readonly string[],
  rows: readonly (readonly Child[])[],
): HTMLTableElement {
  const heads = head.map((cell) => element('th', { scope: 'col' }, cell));
  const body = rows.map(([first, ...cells]) =>
    element(
      'tr',
      {},
      element('th', { scope: 'row' }, first as Child),
      ...cells.map((cell) => element('td', {}, cell)),
    ),
  );
  return element(
    'table',
    {},
    element('caption', { class: 'spoken' }, caption),
    element('thead', {}, element('tr', {}, ...heads)),
    element('tbody', {}, ...body),
  );
}

/** Numbers with what they say. */
export function figures(
  entries: readonly (readonly [number: HTMLOutputElement, says: string])[],
): HTMLElement {
  const pairs = entries.map(([number, says]) =>
    element('div', {}, element('dt', {}, says), element('dd', {}, number)),
  );
  return element('dl', { class: 'figures' }, ...pairs);
}

let labels = 0;

/** An id that no other element has. */
export function freshId(of: string): string {
  return `${of}-${labels++}`;
}
