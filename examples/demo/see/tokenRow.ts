/** A row of tokens, coloured by bucket, one of which is chosen by pointer or keys. */
import { element, freshId } from '../page/elements.js';
import { bucketOf, type Group, rowOf, type Scene, weightsInRound } from './scene.js';

export class TokenRow {
  readonly node: HTMLElement;
  private options: HTMLElement[] = [];
  /** Tokens in the order in which they stand. */
  private order: readonly number[] = [];

  /** @param choose called with the token that the visitor chooses. */
  constructor(
    label: string,
    private readonly choose: (token: number) => void,
  ) {
    this.node = element('div', { role: 'listbox', 'aria-label': label, class: 'tokens', id: freshId('row') });
    const chosen = (event: Event) => {
      const token = (event.target as HTMLElement).closest<HTMLElement>('[data-token]')?.dataset.token;
      if (token !== undefined) {
        choose(Number(token));
      }
    };
    this.node.addEventListener('pointerover', chosen);
    this.node.addEventListener('click', chosen);
    this.node.addEventListener('focusin', chosen);
    this.node.addEventListener('keydown', (event) => this.move(event));
  }

  /** Draws the tokens; groups of one name are not framed. */
  draw(scene: Scene, groups: readonly Group[]): void {
    const { texts, options } = scene;
    const focused = this.node.contains(document.activeElement);
    this.options = [];
    const frames = groups.map(({ name, tokens }) => {
      const members = tokens.map((token) => {
        const bucket = bucketOf(scene, token);
        const hue = Math.round((360 * bucket) / options.numBuckets);
        const made = element(
          'span',
          {
            role: 'option',
            'aria-selected': 'false',
            tabindex: -1,
            'data-token': token,
            title: `bucket ${bucket}`,
          },
          texts[token] as string,
        );
        made.style.setProperty('--hue', String(hue));
        this.options[token] = made;
        return made;
      });
      return groups.length === 1
        ? members
        : [element('div', { role: 'group', 'aria-label': name, class: 'group' }, ...members)];
    });
    this.order = groups.flatMap(({ tokens }) => tokens);
    this.node.replaceChildren(...frames.flat());
    if (focused) {
      this.node.querySelector<HTMLElement>('[tabindex="0"]')?.focus();
    }
  }

  /** Marks a token, what it sees in the shown round, and how much it gives each in the end. */
  mark(scene: Scene, chosen: number): void {
    const seen = weightsInRound(scene, chosen);
    const weights = rowOf(scene.lsh, chosen);
    const most = weights.reduce((a, b) => Math.max(a, b), 1e-9);
    this.options.forEach((option, token) => {
      const here = token === chosen;
      option.classList.toggle('unseen', !here && !((seen[token] as number) > 0));
      option.style.setProperty('--weight', ((weights[token] as number) / most).toFixed(3));
      option.setAttribute('aria-selected', String(here));
      option.tabIndex = here ? 0 : -1;
    });
  }

  private move(event: KeyboardEvent): void {
    const at = this.order.findIndex((token) => this.options[token]?.tabIndex === 0);
    const steps: Record<string, number> = {
      ...{ ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + 8, ArrowUp: at - 8 },
      ...{ Home: 0, End: this.order.length - 1 },
    };
    const to = steps[event.key];
    if (to !== undefined) {
      event.preventDefault();
      const token = this.order[Math.min(this.order.length - 1, Math.max(0, to))] as number;
      this.choose(token);
      this.options[token]?.focus();
    }
  }
}
