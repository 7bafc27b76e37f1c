/** The controls of the view See. */
import { checkbox, choice, slider } from '../page/controls.js';
import { element } from '../page/elements.js';
import type { SeeOptions } from './question.js';
import { TEXTS } from './texts.js';

const ROUNDS = [1, 2, 3, 4, 5, 6, 7, 8];
const BUCKETS = [2, 4, 8, 16, 32, 64];
const CHUNKS = [2, 4, 8, 12, 16, 24, 32, 48, 64];

/** Which text, and how it is attended to. */
export class SeeSettings {
  readonly node: HTMLElement;
  private readonly area = element('textarea', { rows: 6, spellcheck: 'false', id: 'see-text' });
  private readonly options: () => SeeOptions;

  constructor(changed: () => void) {
    const texts = TEXTS.map(({ name }, i) => [i, name] as const);
    const given = choice('Text', texts, 0, () => {
      this.area.value = TEXTS[given.value]?.text ?? '';
      changed();
    });
    this.area.value = TEXTS[0]?.text ?? '';
    this.area.addEventListener('input', changed);
    const rounds = slider('Rounds', ROUNDS, 4, changed);
    const buckets = slider('Buckets', BUCKETS, 32, changed);
    const chunk = slider('Chunk', CHUNKS, 8, changed);
    const causal = checkbox('Causal: no word sees a later one', false, changed);
    const seen = [
      ['chunk', 'its chunk and the one before'],
      ['bucket', 'its bucket'],
    ] as const;
    const window = choice('A word sees', seen, 'chunk', changed);
    this.options = () => ({
      numHashes: rounds.value,
      numBuckets: buckets.value,
      chunkLength: chunk.value,
      causal: causal.value,
      window: window.value,
    });
    const own = element(
      'details',
      {},
      element('summary', {}, 'Edit it, or paste a text of your own'),
      element('label', { for: 'see-text', class: 'spoken' }, 'The text'),
      this.area,
    );
    this.node = element(
      'div',
      { class: 'settings' },
      element('div', { class: 'text' }, given.node, own),
      ...[rounds, buckets, chunk, window, causal].map(({ node }) => node),
    );
  }

  get text(): string {
    return this.area.value;
  }

  get value(): SeeOptions {
    return this.options();
  }
}
