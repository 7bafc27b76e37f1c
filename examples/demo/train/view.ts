/** The view Train: a model learns to say again what it has read. */
import * as Plot from '@observablehq/plot';
import type { Attention } from '../../copy/model.js';
import { named } from '../../copy/run.js';
import { count, percent } from '../../output/numbers.js';
import { Chart, SERIES } from '../page/chart.js';
import { choice } from '../page/controls.js';
import { button, element, figures } from '../page/elements.js';
import type { BackendChoice } from '../page/messages.js';
import { type OpenView, Workshop } from '../page/view.js';
import type { TrainNews, TrainQuestion } from './question.js';
import { TASKS, type TaskName } from './tasks.js';

type Accuracy = TrainNews & { readonly kind: 'accuracy' };
type Step = TrainNews & { readonly kind: 'step' };

const ATTENTIONS = ([1, 2, 4, 8] as const).map((rounds) => [rounds, String(rounds)] as const);
const OR_DENSE = [...ATTENTIONS, ['dense', 'dense'] as const];
/** A line through the losses is the mean of so many steps. */
const SMOOTHED = 10;

export const openTrain: OpenView = (place, backend) => {
  const training = new Training(place, backend);
  return { leave: () => training.pause() };
};

class Training {
  private readonly workshop: Workshop<TrainQuestion, undefined, TrainNews>;
  private readonly task = choice(
    'To say again',
    Object.entries(TASKS).map(([name, { name: text }]) => [name as TaskName, text] as const),
    'small',
    () => this.afresh(),
  );
  private readonly trained = choice<number | 'dense'>('Rounds in training', OR_DENSE, 2, () => this.afresh());
  private readonly evaluated = choice<number | 'dense'>('Rounds at evaluation', OR_DENSE, 2, () =>
    this.evaluate(),
  );
  private readonly go = button('Train', () => (this.state === 'running' ? this.pause() : void this.run()), {
    class: 'main',
  });
  private readonly again = button('Start over', () => this.afresh());
  private readonly status = element('p', { role: 'status', class: 'small' });
  private readonly loss = new Chart(
    'Loss on the second w by step, its running mean, and that of guessing (dashed)',
  );
  private readonly accuracy = new Chart(
    'Accuracy by step, on sequences that are not trained on, and that of guessing (dashed)',
  );
  private readonly accuracyNow = element('output', { id: 'train-accuracy' }, '–');
  private readonly stepsNow = element('output', { id: 'train-step' }, '0');
  private state: 'fresh' | 'running' | 'paused' = 'fresh';
  private steps: Step[] = [];
  private accuracies: Accuracy[] = [];
  /** Charts are drawn once a frame at most. */
  private drawing = false;

  constructor(place: HTMLElement, backend: BackendChoice) {
    this.workshop = new Workshop<TrainQuestion, undefined, TrainNews>('train', backend, {
      started: () => this.begin(),
      ended: () => {
        this.become('fresh', this.steps.length === 0 ? '' : 'The model was lost with its device.');
        this.go.disabled = true;
      },
      news: (news) => this.hear(news),
    });
    place.append(
      this.workshop.line.node,
      element('div', { class: 'settings' }, this.task.node, this.trained.node, this.evaluated.node),
      element('p', { class: 'buttons' }, this.go, this.again),
      this.status,
      figures([
        [this.stepsNow, 'steps'],
        [this.accuracyNow, 'of the second w is right'],
      ]),
      element('div', { class: 'pair charts' }, this.loss.node, this.accuracy.node),
    );
    this.workshop.start();
  }

  private get attention(): Attention {
    return this.trained.value;
  }

  /** Another model, untrained; what trained before is ended with its worker. */
  private afresh(): void {
    if (this.state === 'fresh') {
      this.begin();
    } else {
      this.workshop.start();
    }
  }

  private begin(): void {
    this.steps = [];
    this.accuracies = [];
    this.go.disabled = false;
    this.become('fresh', '');
    this.draw();
    void this.send({ kind: 'begin', task: this.task.value, attention: this.attention });
  }

  private async run(): Promise<void> {
    this.become('running', '');
    const { steps } = TASKS[this.task.value];
    const ended = await this.send({ kind: 'run', evaluated: this.evaluated.value });
    this.go.disabled = false;
    if (ended) {
      const done = `Trained for ${count(steps)} steps. Other rounds at evaluation show what they bring.`;
      this.become('paused', this.steps.length < steps ? 'Paused.' : done);
    }
  }

  /** After the step at hand. */
  pause(): void {
    if (this.state === 'running') {
      this.status.textContent = 'Pausing …';
      this.go.disabled = true;
      void this.send({ kind: 'pause' });
    }
  }

  private evaluate(): void {
    if (this.state !== 'fresh') {
      void this.send({ kind: 'evaluate', evaluated: this.evaluated.value });
    }
  }

  /** @returns whether it went well; the page says why not. */
  private async send(question: TrainQuestion): Promise<boolean> {
    try {
      await this.workshop.ask(question);
      return true;
    } catch (error) {
      this.become('fresh', `It broke off: ${(error as Error).message}`);
      return false;
    }
  }

  private become(state: typeof this.state, status: string): void {
    this.state = state;
    this.status.textContent = status;
    this.go.textContent = { fresh: 'Train', running: 'Pause', paused: 'Resume' }[state];
  }

  private hear(news: TrainNews): void {
    if (news.kind === 'step') {
      this.steps.push(news);
    } else {
      this.accuracies.push(news);
    }
    if (!this.drawing) {
      this.drawing = true;
      requestAnimationFrame(() => {
        this.drawing = false;
        this.draw();
      });
    }
  }

  private draw(): void {
    const { vocabulary } = TASKS[this.task.value].recipe;
    const { steps: all } = TASKS[this.task.value];
    const { steps, accuracies } = this;
    const last = accuracies.at(-1);
    this.stepsNow.textContent = `${count(steps.length)} of ${count(all)}`;
    this.accuracyNow.textContent = last === undefined ? '–' : percent(last.value);
    const x = { label: null, domain: [0, all] };
    const guess = (y: number) => Plot.ruleY([y], { stroke: 'var(--soft)', strokeDasharray: '4 4' });
    this.loss.draw({
      x,
      y: { label: null, grid: true, zero: true },
      marks: [
        guess(Math.log(vocabulary - 1)),
        Plot.line(steps, { x: 'step', y: 'loss', stroke: 'var(--faint)' }),
        Plot.line(steps, Plot.windowY(SMOOTHED, { x: 'step', y: 'loss', stroke: SERIES[0], strokeWidth: 2 })),
      ],
      ariaLabel: `The loss after ${steps.length} steps: ${steps.at(-1)?.loss.toFixed(3) ?? 'none yet'}. Guessing costs ${Math.log(vocabulary - 1).toFixed(3)}.`,
    });
    this.accuracy.draw({
      x,
      y: {
        label: null,
        grid: true,
        domain: [0, 1],
        tickFormat: (share: number) => `${Math.round(100 * share)} %`,
      },
      marks: [
        guess(1 / (vocabulary - 1)),
        Plot.line(accuracies, { x: 'step', y: 'value', stroke: SERIES[0], strokeWidth: 2 }),
        Plot.dot(accuracies, { x: 'step', y: 'value', fill: SERIES[0], r: 3.5 }),
        Plot.text(accuracies.filter(changed), {
          x: 'step',
          y: 'value',
          text: ({ attention }) => named(attention),
          textAnchor: 'start',
          dy: -10,
          fill: 'var(--soft)',
          // In front of the lines that it stands on.
          stroke: 'var(--paper)',
          strokeWidth: 6,
        }),
      ],
      ariaLabel: `The accuracy at ${accuracies.length} times: ${last === undefined ? 'none yet' : `${percent(last.value)} with ${named(last.attention)}`}.`,
    });
  }
}

/** Whether an accuracy is of another attention than the one before. */
function changed({ attention }: Accuracy, i: number, all: readonly Accuracy[]): boolean {
  return all[i - 1]?.attention !== attention;
}
