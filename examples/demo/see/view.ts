/** The view See: a text goes through hash, sort, chunk and attend. */
import './see.css';
import { percent } from '../../output/numbers.js';
import { choice } from '../page/controls.js';
import { element, figures } from '../page/elements.js';
import { Latest } from '../page/latest.js';
import type { BackendChoice } from '../page/messages.js';
import { type OpenView, Workshop } from '../page/view.js';
import { Detail } from './detail.js';
import { PairMap } from './pairMap.js';
import { MOST_TOKENS, type SeeAnswer, type SeeQuestion } from './question.js';
import { groups, type Scene, summaryOf } from './scene.js';
import { SeeSettings } from './settings.js';
import { TokenRow } from './tokenRow.js';
import { tokensOf } from './words.js';

export const openSee: OpenView = (place, backend) => {
  new See(place, backend);
  return {};
};

/** The word that is chosen at first stands so far into the text, where much was said before. */
const FIRST_CHOSEN = 0.7;

class See {
  private readonly workshop: Workshop<SeeQuestion, SeeAnswer>;
  private readonly latest: Latest<SeeQuestion & { readonly texts: readonly string[] }, SeeAnswer>;
  private readonly settings = new SeeSettings(() => this.refresh());
  private readonly note = element('p', { class: 'small', role: 'status' });
  private readonly share = element('output', { id: 'see-share' }, '–');
  private readonly pairs = element('output', { id: 'see-pairs' }, '–');
  private readonly rounds = element('div', { class: 'rounds' });
  private readonly written = new TokenRow('The text as written', (token) => this.choose(token));
  private readonly sorted = new TokenRow('The text as sorted', (token) => this.choose(token));
  private readonly detail = new Detail();
  private readonly map = new PairMap((token) => this.choose(token));
  private readonly axes = choice(
    'Rows and columns',
    [
      ['written', 'as written'],
      ['sorted', 'as sorted'],
    ] as const,
    'written',
    () => this.choose(this.chosen ?? 0),
  );
  private scene: Scene | undefined;
  private shown: () => number = () => 0;
  private chosen: number | undefined;

  constructor(place: HTMLElement, backend: BackendChoice) {
    this.workshop = new Workshop('see', backend, {
      started: () => {
        this.latest.forget();
        this.refresh();
      },
    });
    this.latest = new Latest(
      ({ words, options }) => this.workshop.ask({ words, options }),
      (answer, { texts, options }) => this.show({ ...answer, texts, options, round: 0 }),
      ({ message }) => {
        this.note.textContent = message;
      },
    );
    place.append(...this.parts());
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () =>
      this.choose(this.chosen ?? 0),
    );
    this.workshop.start();
  }

  private parts(): Node[] {
    const figure = (title: string, about: string, ...children: Node[]) =>
      element('section', {}, element('h2', {}, title), element('p', { class: 'small' }, about), ...children);
    return [
      this.workshop.line.node,
      this.settings.node,
      this.note,
      figures([
        [this.share, 'of dense attention’s mass is seen'],
        [this.pairs, 'of the pairs are compared'],
      ]),
      this.rounds,
      element(
        'div',
        { class: 'pair stage' },
        figure(
          'Hash',
          'A word’s vector is made of it and the three before it. A random rotation puts it into a bucket, its colour: like contexts share one. Opposite colours are opposite corners.',
          this.written.node,
        ),
        figure(
          'Sort, and cut',
          'Sorted by bucket, like contexts stand together. A frame is what is attended to at once.',
          this.sorted.node,
        ),
      ),
      element(
        'div',
        { class: 'pair' },
        figure(
          'Attend',
          'What the chosen word gives others: in dense attention, by LSH in all rounds together, and in each round alone. Point at a word above, or reach it with the arrow keys.',
          this.detail.node,
        ),
        figure(
          'All pairs',
          'The stronger, the more a row’s word gives a column’s. In colour what LSH sees; in grey what it misses.',
          this.axes.node,
          this.map.node,
        ),
      ),
    ];
  }

  private refresh(): void {
    const { texts, words, left } = tokensOf(this.settings.text, MOST_TOKENS);
    if (words.length < 2) {
      this.note.textContent = 'Two words at least, please.';
      return;
    }
    this.note.textContent = left === 0 ? '' : `The first ${MOST_TOKENS} words; ${left} more are left out.`;
    void this.latest.want({ texts, words, options: this.settings.value });
  }

  private show(answer: Scene): void {
    const { numHashes } = answer.options;
    const round = Math.min(this.shown(), numHashes - 1);
    const scene = { ...answer, round };
    if (this.scene?.options.numHashes !== numHashes) {
      const numbers = Array.from({ length: numHashes }, (_, n) => [n, String(n + 1)] as const);
      const control = choice('Round shown', numbers, round, () =>
        this.draw({ ...(this.scene as Scene), round: this.shown() }),
      );
      this.shown = () => control.value;
      this.rounds.replaceChildren(control.node);
    }
    const { share, pairs } = summaryOf(scene);
    this.share.textContent = percent(share);
    this.pairs.textContent = percent(pairs);
    this.draw(scene);
  }

  private draw(scene: Scene): void {
    const L = scene.texts.length;
    this.scene = scene;
    this.written.draw(scene, [{ name: 'text', tokens: scene.texts.map((_, token) => token) }]);
    this.sorted.draw(scene, groups(scene));
    this.choose(Math.min(this.chosen ?? Math.floor(FIRST_CHOSEN * L), L - 1));
  }

  private choose(token: number): void {
    const { scene } = this;
    if (scene !== undefined) {
      this.chosen = token;
      this.written.mark(scene, token);
      this.sorted.mark(scene, token);
      this.detail.draw(scene, token);
      this.map.draw(scene, this.axes.value === 'sorted', token);
    }
  }
}
