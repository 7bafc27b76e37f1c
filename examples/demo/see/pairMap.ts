/** All pairs as a picture: a row for each query, a column for each key. */

import { percent } from '../../output/numbers.js';
import { element } from '../page/elements.js';
import { rowOf, type Scene, sorted, summaryOf } from './scene.js';

/** How much of a colour a pair that is seen has at least, so that windows show. */
const FAINT = 0.16;

export class PairMap {
  readonly node: HTMLCanvasElement;
  private order: readonly number[] = [];

  /** @param choose called with the query that the visitor points at. */
  constructor(choose: (token: number) => void) {
    this.node = element('canvas', {
      role: 'img',
      class: 'pairs',
      'aria-label': 'A picture of all pairs, not drawn yet.',
    });
    this.node.addEventListener('pointermove', ({ offsetY }) => {
      const token = this.order[Math.floor((offsetY / this.node.clientHeight) * this.order.length)];
      if (token !== undefined) {
        choose(token);
      }
    });
  }

  /** @param bySlot whether rows and columns stand as the shown round sorts them. */
  draw(scene: Scene, bySlot: boolean, chosen: number): void {
    const L = scene.texts.length;
    this.order = bySlot ? sorted(scene) : scene.texts.map((_, token) => token);
    this.node.width = L;
    this.node.height = L;
    const context = this.node.getContext('2d') as CanvasRenderingContext2D;
    const image = context.createImageData(L, L);
    const [seenColour, missedColour] = ['--accent', '--ink'].map((name) => colourOf(this.node, name));
    this.order.forEach((query, y) => {
      const [dense, lsh] = [rowOf(scene.dense, query), rowOf(scene.lsh, query)];
      this.order.forEach((key, x) => {
        const seen = (lsh[key] as number) > 0;
        const strength = Math.sqrt(dense[key] as number);
        const colour = seen ? seenColour : missedColour;
        const alpha = seen ? Math.max(FAINT, strength) : strength;
        image.data.set([...(colour as number[]), 255 * alpha], 4 * (y * L + x));
      });
    });
    context.putImageData(image, 0, 0);
    const row = this.order.indexOf(chosen);
    context.fillStyle = getComputedStyle(this.node).getPropertyValue('--row');
    context.fillRect(0, row, L, 1);
    const { share, pairs } = summaryOf(scene);
    this.node.setAttribute(
      'aria-label',
      `A picture of ${L} × ${L} pairs: ${percent(pairs)} are seen, with ${percent(share)} of dense attention’s mass.`,
    );
  }
}

/** Red, green and blue of a colour of the style sheet, whatever it is written in. */
function colourOf(node: Element, name: string): number[] {
  const context = new OffscreenCanvas(1, 1).getContext('2d') as OffscreenCanvasRenderingContext2D;
  context.fillStyle = getComputedStyle(node).getPropertyValue(name);
  context.fillRect(0, 0, 1, 1);
  return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
}
