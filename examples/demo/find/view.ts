/** The view Find: sentences like another, by hashing, and how many of the nearest are found for how much work. */
import './find.css';
import * as Plot from '@observablehq/plot';
import { count, percent } from '../../output/numbers.js';
import { Chart, legend, SERIES } from '../page/chart.js';
import { choice, slider } from '../page/controls.js';
import { button, element, figures } from '../page/elements.js';
import { Latest } from '../page/latest.js';
import type { BackendChoice } from '../page/messages.js';
import { type OpenView, Workshop } from '../page/view.js';
import {
  EFFORTS,
  type FindAnswer,
  type FindQuestion,
  K,
  type Neighbour,
  type Setting,
  type Way,
} from './question.js';

const WAYS = [
  ['tables', 'hash tables'],
  ['codes', 'binary codes'],
] as const satisfies readonly (readonly [Way, string])[];
const FIRST_QUERY = 'We must keep the peace among nations, and be strong enough to defend it.';

export const openFind: OpenView = (place, backend) => {
  new Find(place, backend);
  return {};
};

class Find {
  private readonly workshop: Workshop<FindQuestion, FindAnswer>;
  private readonly latest: Latest<FindQuestion, FindAnswer>;
  private readonly text = element('textarea', { id: 'find-text', rows: 2, maxlength: 400 });
  private readonly way = choice('Candidates from', WAYS, 'tables', () => this.turn());
  private readonly efforts = {
    tables: slider('Buckets visited of each table', EFFORTS.tables, 6, () => this.turn()),
    codes: slider('Nearest codes compared', EFFORTS.codes, 20, () => this.turn()),
  };
  private readonly recall = element('output', { id: 'find-recall' }, '–');
  private readonly compared = element('output', { id: 'find-compared' }, '–');
  private readonly chart = new Chart(`Of the ${K} nearest found, by the share of sentences compared`);
  private readonly list = element('ol', { class: 'neighbours' });
  private readonly status = element('p', { role: 'status', class: 'small' }, 'Reading the speeches …');
  private settings: readonly Setting[] = [];
  private readonly failed = ({ message }: Error) => {
    this.status.textContent = `It broke off: ${message}`;
  };

  constructor(place: HTMLElement, backend: BackendChoice) {
    this.workshop = new Workshop('find', backend, { started: () => this.begin() });
    this.latest = new Latest(
      (question) => this.workshop.ask(question),
      (answer) => this.show(answer),
      this.failed,
    );
    this.text.value = FIRST_QUERY;
    this.text.addEventListener('input', () => this.search());
    place.append(
      this.workshop.line.node,
      element('label', { for: 'find-text', class: 'question' }, 'Find sentences like this one'),
      this.text,
      element(
        'p',
        { class: 'buttons' },
        button('Take one of theirs', () => this.pick().catch(this.failed)),
      ),
      element(
        'div',
        { class: 'settings' },
        this.way.node,
        ...Object.values(this.efforts).map(({ node }) => node),
      ),
      element(
        'div',
        { class: 'pair' },
        element('section', {}, element('h2', {}, `The ${K} nearest`), this.status, this.list),
        element(
          'section',
          {},
          element('h2', {}, 'What it takes'),
          figures([
            [this.recall, `of the ${K} nearest are found`],
            [this.compared, 'of the sentences are compared'],
          ]),
          legend(WAYS.map(([, name]) => name)),
          this.chart.node,
          element('p', { class: 'small' }, 'The mean over 100 of the sentences themselves, each as a query.'),
        ),
      ),
    );
    this.workshop.start();
  }

  private begin(): void {
    this.latest.forget();
    this.turn();
    this.measure().catch(this.failed);
  }

  /** Settings one by one, so that questions come between. */
  private async measure(): Promise<void> {
    const settings: Setting[] = [];
    this.settings = settings;
    for (const [way] of WAYS) {
      for (const effort of EFFORTS[way]) {
        const answer = await this.workshop.ask({ kind: 'measure', way, effort });
        if (answer.kind === 'setting') {
          settings.push(answer.setting);
          this.draw();
        }
      }
    }
  }

  private async pick(): Promise<void> {
    const answer = await this.workshop.ask({ kind: 'sentence' });
    if (answer.kind === 'sentence') {
      this.text.value = answer.text;
      this.search();
    }
  }

  /** The dial was turned. */
  private turn(): void {
    for (const [way] of WAYS) {
      this.efforts[way].node.hidden = way !== this.way.value;
    }
    this.draw();
    this.search();
  }

  private search(): void {
    const way = this.way.value;
    void this.latest.want({
      kind: 'neighbours',
      text: this.text.value,
      way,
      effort: this.efforts[way].value,
    });
  }

  private show(answer: FindAnswer): void {
    if (answer.kind === 'neighbours') {
      const { neighbours, compared, sentences } = answer;
      const found = neighbours.filter((one) => one.found).length;
      this.status.textContent = `Hashing found ${found} of these ${neighbours.length} by comparing ${count(compared)} of ${count(sentences)} sentences.`;
      this.list.replaceChildren(...neighbours.map(item));
    }
  }

  private draw(): void {
    const way = this.way.value;
    const here = this.settings.find((one) => one.way === way && one.effort === this.efforts[way].value);
    this.recall.textContent = here === undefined ? '–' : percent(here.recall);
    this.compared.textContent = here === undefined ? '–' : percent(here.compared);
    const axis = () => ({
      label: null,
      grid: true,
      domain: [0, 1],
      tickFormat: (share: number) => `${Math.round(100 * share)} %`,
    });
    const at = { x: 'compared', y: 'recall' } as const;
    this.chart.draw({
      color: { domain: WAYS.map(([name]) => name), range: SERIES.slice(0, WAYS.length) },
      x: axis(),
      y: axis(),
      marks: [
        Plot.line(this.settings, { ...at, stroke: 'way', z: 'way', strokeWidth: 2 }),
        Plot.dot(this.settings, { ...at, fill: 'way', r: 3 }),
        ...(here === undefined
          ? []
          : [Plot.dot([here], { ...at, stroke: 'var(--ink)', strokeWidth: 2, r: 8 })]),
      ],
      ariaLabel:
        here === undefined
          ? 'Nothing is measured yet.'
          : `With ${this.way.value === 'tables' ? 'hash tables' : 'binary codes'} at ${here.effort}: ${percent(here.recall)} found, ${percent(here.compared)} compared.`,
    });
  }
}

function item({ text, speech, distance, found }: Neighbour): HTMLElement {
  return element(
    'li',
    { class: found ? 'found' : 'missed' },
    element('blockquote', {}, text),
    element(
      'p',
      { class: 'small' },
      `${speech} · distance ${distance.toFixed(2)} · `,
      element('b', {}, found ? 'found' : 'missed'),
    ),
  );
}
