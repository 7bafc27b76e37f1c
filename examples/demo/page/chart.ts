/** Charts in the page's colours, as wide as their place. */
import * as Plot from '@observablehq/plot';
import { element } from './elements.js';

/** Colours of series, dark and light by the style sheet. */
export const SERIES = ['var(--accent)', 'var(--second)', 'var(--third)'] as const;

export class Chart {
  readonly node: HTMLElement;
  private readonly place = element('div', { class: 'chart' });
  private options: Plot.PlotOptions | undefined;

  constructor(caption: string) {
    this.node = element('figure', {}, element('figcaption', {}, caption), this.place);
    new ResizeObserver(() => this.plot()).observe(this.place);
  }

  /** @param ariaLabel what the chart says, for those who do not see it. */
  draw(options: Plot.PlotOptions & { readonly ariaLabel: string }): void {
    this.options = options;
    this.plot();
  }

  private plot(): void {
    const width = this.place.clientWidth;
    if (this.options !== undefined && width > 0) {
      const style = { background: 'none', fontSize: '12px', fontFamily: 'inherit', overflow: 'visible' };
      const plot = Plot.plot({ width, height: 280, marginLeft: 60, ...this.options, style });
      plot.setAttribute('role', 'img');
      // A picture is read by its own label; those of its parts have no role to be read in.
      for (const part of plot.querySelectorAll('[aria-label]')) {
        part.removeAttribute('aria-label');
      }
      this.place.replaceChildren(plot);
    }
  }
}

/** What the colours of a chart stand for. */
export function legend(names: readonly string[]): HTMLElement {
  const items = names.map((name, i) => {
    const mark = element('i', { 'aria-hidden': 'true' });
    mark.style.background = SERIES[i % SERIES.length] as string;
    return element('li', {}, mark, name);
  });
  return element('ul', { class: 'legend' }, ...items);
}
