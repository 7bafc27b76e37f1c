/** What a view is made of. */
import { button, element } from './elements.js';
import { Engine, type Listener } from './engine.js';
import type { BackendChoice, Device, ViewName } from './messages.js';

/** A view on the page. */
export interface View {
  /** Called when the visitor goes to another view. */
  leave?(): void;
}

/** Fills a view's place on the page. */
export type OpenView = (place: HTMLElement, backend: BackendChoice) => View;

/** A line that says what a view computes on, and what went wrong with it. */
export class DeviceLine {
  readonly node = element('p', { class: 'device', role: 'status' }, 'Starting …');
  device: Device | undefined;

  ready(device: Device): void {
    this.device = device;
    const { backend, name, instead } = device;
    this.node.classList.remove('trouble');
    this.node.replaceChildren(
      ...(backend === 'webgpu'
        ? ['On ', element('b', {}, name), ', by WGSL kernels.']
        : [
            ...(instead === undefined ? [] : [`${instead} `]),
            'On ',
            element('b', {}, name),
            ', by tf ops: the same numbers, in more time.',
          ]),
    );
  }

  /**
   * The worker is gone, or did not start.
   *
   * @param again what starts another.
   */
  trouble(message: string, again: () => void): void {
    const reason = message.replace(/[.\s]*$/, '') || 'no reason was given';
    const what = { webgpu: 'The GPU was lost', wasm: 'The worker was lost', cpu: 'The worker was lost' };
    const happened = this.device === undefined ? 'Nothing could be started' : what[this.device.backend];
    this.device = undefined;
    this.node.classList.add('trouble');
    this.node.replaceChildren(
      `${happened}: ${reason}. Try again, or choose another place to compute at the foot of the page. `,
      button('Start again', again),
    );
  }
}

/** An engine that starts anew when the visitor asks for it; views keep what they need to go on. */
export class Workshop<Question, Answer, News = never> {
  readonly line = new DeviceLine();
  private engine: Engine<Question, Answer, News> | undefined;

  constructor(
    private readonly view: ViewName,
    private readonly backend: BackendChoice,
    private readonly listener: Pick<Listener<News>, 'news'> & {
      /** A worker is there, the first or another. */
      started(): void;
      /** What was going on has ended with its worker. */
      ended?(): void;
    },
  ) {}

  start(): void {
    this.engine?.stop();
    this.line.node.textContent = 'Starting …';
    const { listener } = this;
    this.engine = new Engine<Question, Answer, News>(this.view, this.backend, {
      ready: (device) => this.line.ready(device),
      news: (news) => listener.news?.(news),
      lost: (message) => {
        this.line.trouble(message, () => this.start());
        listener.ended?.();
      },
    });
    listener.started();
  }

  /** @throws what the worker threw. */
  ask(question: Question): Promise<Answer> {
    return (this.engine as Engine<Question, Answer, News>).ask(question);
  }
}
