/** Controls with their labels, each of which tells its value when it changes. */
import { element, freshId } from './elements.js';

export interface Control<T> {
  readonly node: HTMLElement;
  readonly value: T;
}

/** A slider over a list of values. */
export function slider(
  label: string,
  values: readonly number[],
  initial: number,
  changed: () => void,
): Control<number> {
  const id = freshId('slider');
  const input = element('input', { id, type: 'range', min: 0, max: values.length - 1, step: 1 });
  input.valueAsNumber = Math.max(0, values.indexOf(initial));
  const shown = element('output', { for: id });
  const value = () => values[input.valueAsNumber] as number;
  const show = () => {
    shown.textContent = value().toLocaleString('en');
    input.setAttribute('aria-valuetext', shown.textContent);
  };
  show();
  input.addEventListener('input', () => {
    show();
    changed();
  });
  const node = element('div', { class: 'control' }, element('label', { for: id }, label), shown, input);
  return {
    node,
    get value() {
      return value();
    },
  };
}

/** A box to tick. */
export function checkbox(label: string, initial: boolean, changed: () => void): Control<boolean> {
  const input = element('input', { type: 'checkbox', checked: initial });
  input.addEventListener('change', changed);
  return {
    node: element('label', { class: 'control tick' }, input, label),
    get value() {
      return input.checked;
    },
  };
}

/** One of a few, side by side. */
export function choice<T extends string | number>(
  label: string,
  options: readonly (readonly [value: T, name: string])[],
  initial: T,
  changed: () => void,
): Control<T> {
  const name = freshId('choice');
  const inputs = options.map(([value]) =>
    element('input', { type: 'radio', name, value, checked: value === initial }),
  );
  const labels = options.map(([, text], i) =>
    element('label', {}, inputs[i] as HTMLInputElement, element('span', {}, text)),
  );
  const node = element(
    'fieldset',
    { class: 'control choice' },
    element('legend', {}, label),
    element('div', { class: 'options' }, ...labels),
  );
  node.addEventListener('change', changed);
  return {
    node,
    get value() {
      return (options[inputs.findIndex((input) => input.checked)] as readonly [T, string])[0];
    },
  };
}
