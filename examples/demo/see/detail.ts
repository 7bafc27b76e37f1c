/** What one token attends to: in dense attention, by LSH, and in each round. */
import { percent } from '../../output/numbers.js';
import { element, table } from '../page/elements.js';
import { bucketOf, rowOf, type Scene, weightsInRound } from './scene.js';

/** Tokens that are listed. */
const LISTED = 8;
/** Words around a token that tell where it stands. */
const AROUND = 2;

export class Detail {
  readonly node = element('div', { class: 'detail' });
  /** Read aloud when another token is chosen. */
  private readonly spoken = element('p', { class: 'spoken', 'aria-live': 'polite' });
  private readonly content = element('div');

  constructor() {
    this.node.append(this.spoken, this.content);
  }

  draw(scene: Scene, token: number): void {
    const { texts, share, options } = scene;
    const [dense, lsh] = [rowOf(scene.dense, token), rowOf(scene.lsh, token)];
    const rounds = Array.from({ length: options.numHashes }, (_, round) =>
      weightsInRound(scene, token, round),
    );
    const keys = texts
      .map((_, key) => key)
      .filter((key) => (dense[key] as number) > 0)
      .sort((a, b) => (dense[b] as number) - (dense[a] as number) || a - b)
      .slice(0, LISTED);
    const rows = keys.map((key) => [
      inContext(texts, key),
      weight(dense[key] as number, 'dense'),
      weight(lsh[key] as number, 'lsh'),
      ...rounds.map((round) => weight(round[key] as number, 'round')),
    ]);
    const head = ['It attends to', 'dense', 'LSH', ...rounds.map((_, round) => `round ${round + 1}`)];
    const buckets = rounds.map((_, round) => bucketOf(scene, token, round)).join(', ');
    this.content.replaceChildren(
      element('p', { class: 'chosen' }, inContext(texts, token)),
      element(
        'p',
        { class: 'small' },
        `Word ${token + 1} of ${texts.length}, ${rounds.length === 1 ? 'bucket' : 'buckets'} ${buckets}. Of what it would attend to, LSH sees ${percent(share[token] as number)}.`,
      ),
      element(
        'div',
        { class: 'wide', tabindex: 0, role: 'region', 'aria-label': 'Weights of the chosen word' },
        table('What the chosen word attends to most', head, rows),
      ),
    );
    this.spoken.textContent = `${texts[token]}: attends most to ${keys
      .slice(0, 3)
      .map((key) => `${texts[key]}, word ${key + 1}, ${percent(dense[key] as number)}`)
      .join('; ')}. LSH sees ${percent(share[token] as number)}.`;
  }
}

/** A token among its neighbours. */
function inContext(texts: readonly string[], token: number): HTMLElement {
  const part = (from: number, to: number) => texts.slice(Math.max(0, from), Math.max(0, to)).join(' ');
  return element(
    'span',
    { class: 'context' },
    `${part(token - AROUND, token)} `,
    element('b', {}, texts[token] as string),
    ` ${part(token + 1, token + 1 + AROUND)}`,
  );
}

/** A share with a bar; a point where nothing is seen. */
function weight(value: number, kind: 'dense' | 'lsh' | 'round'): HTMLElement {
  if (value === 0) {
    return element('span', { class: 'nothing' }, element('span', { class: 'spoken' }, 'not seen'), '·');
  }
  const made = element('span', { class: `bar ${kind}` }, percent(value));
  made.style.setProperty('--share', String(value));
  return made;
}
