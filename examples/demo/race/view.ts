/** The view Race: LSH against dense attention on the visitor's own device. */
import * as Plot from '@observablehq/plot';
import { bytes, count, seconds } from '../../output/numbers.js';
import { Chart, legend, SERIES } from '../page/chart.js';
import { choice, slider } from '../page/controls.js';
import { button, element, table } from '../page/elements.js';
import type { BackendChoice, Device } from '../page/messages.js';
import { type OpenView, Workshop } from '../page/view.js';
import { asJson, asMarkdown, HEAD, type RaceResults, rowsOf } from './report.js';
import { CONTESTANTS, type Lap, type RaceNews, type RaceSettings } from './settings.js';

/** The ladder's last lengths to choose from. */
const LONGEST = [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536];

export const openRace: OpenView = (place, backend) => {
  const race = new Race(place, backend);
  return { leave: () => race.stop('Stopped, since you left.') };
};

class Race {
  private readonly workshop: Workshop<RaceSettings, undefined, RaceNews>;
  private readonly rounds = choice(
    'Rounds of LSH',
    [1, 2, 4, 8].map((n) => [n, String(n)] as const),
    2,
    () => {},
  );
  private readonly heads = choice(
    'Heads',
    [1, 4, 8].map((n) => [n, String(n)] as const),
    1,
    () => {},
  );
  private readonly longest = slider('Up to a length of', LONGEST, 16384, () => {});
  private readonly go = button('Start', () => (this.racing ? this.stop('Stopped.') : this.start()), {
    class: 'main',
  });
  private readonly status = element('p', { role: 'status', class: 'small' });
  private readonly time = new Chart('Time of a call, by length');
  private readonly memory = new Chart('Most memory in use at once beside the inputs, by length');
  private readonly results = element('div', { class: 'results' });
  private readonly outs = element('ul', { class: 'small plain' });
  private readonly copies = element('p', { class: 'copies', hidden: true });
  private racing = false;
  private laps: Lap[] = [];
  private settings: RaceSettings | undefined;
  private device: Device | undefined;

  constructor(place: HTMLElement, backend: BackendChoice) {
    this.workshop = new Workshop<RaceSettings, undefined, RaceNews>('race', backend, {
      started: () => {
        this.go.disabled = false;
      },
      ended: () => {
        this.ended('The race ended with its device; what it had found is below.');
        this.go.disabled = true;
      },
      news: (news) => this.hear(news),
    });
    this.copies.append(
      button('Copy as Markdown', () => this.copy(asMarkdown)),
      button('Copy as JSON', () => this.copy(asJson)),
    );
    place.append(
      this.workshop.line.node,
      element(
        'div',
        { class: 'settings' },
        ...[this.rounds, this.heads, this.longest].map(({ node }) => node),
        this.go,
      ),
      this.status,
      legend(CONTESTANTS),
      element('div', { class: 'pair charts' }, this.time.node, this.memory.node),
      this.outs,
      this.results,
      this.copies,
    );
    this.draw();
    this.workshop.start();
  }

  private async start(): Promise<void> {
    this.settings = { rounds: this.rounds.value, heads: this.heads.value, longest: this.longest.value };
    this.laps = [];
    this.outs.replaceChildren();
    this.racing = true;
    this.go.textContent = 'Stop';
    this.draw();
    try {
      await this.workshop.ask(this.settings);
      this.ended('Done.');
    } catch (error) {
      this.ended(`It broke off: ${(error as Error).message}`);
    }
  }

  /** At once: the worker is ended in the middle of whatever it is at, and another one started. */
  stop(reason: string): void {
    if (this.racing) {
      this.ended(reason);
      this.workshop.start();
    }
  }

  private ended(how: string): void {
    if (this.racing) {
      this.racing = false;
      this.status.textContent = how;
    }
    this.go.textContent = 'Start';
  }

  private hear(news: RaceNews): void {
    this.device = this.workshop.line.device ?? this.device;
    switch (news.kind) {
      case 'busy':
        this.status.textContent = `${news.who} at ${count(news.length)} …`;
        break;
      case 'lap':
        this.laps.push(news.lap);
        this.draw();
        break;
      case 'out':
        this.outs.append(
          element('li', {}, `${news.who} is out from ${count(news.length)} on: it ${news.reason}.`),
        );
    }
  }

  private draw(): void {
    const { laps } = this;
    this.time.draw(this.logLog(laps, 'ms', (ms: number) => seconds(ms / 1000)));
    this.memory.draw(this.logLog(laps, 'bytes', bytes));
    this.copies.hidden = laps.length === 0;
    if (laps.length > 0) {
      this.results.replaceChildren(table('Time and memory by length', HEAD, rowsOf(laps)));
    } else {
      this.results.replaceChildren();
    }
  }

  private logLog(laps: readonly Lap[], y: 'ms' | 'bytes', format: (value: number) => string) {
    const color = { domain: [...CONTESTANTS], range: [...SERIES] };
    const x = {
      type: 'log',
      base: 2,
      label: null,
      tickFormat: (length: number) => count(length),
    } as const;
    const last = laps.at(-1);
    return {
      color,
      x: { ...x, domain: [256, Math.max(1024, this.settings?.longest ?? this.longest.value)] },
      y: {
        type: 'log',
        label: null,
        grid: true,
        ticks: 5,
        tickSize: 0,
        ...(y === 'bytes' && { base: 2 }),
        tickFormat: format,
        ...(laps.length === 0 && { domain: [1, 100] }),
      },
      marks: [
        Plot.line(laps, { x: 'length', y, stroke: 'who', z: 'who', strokeWidth: 2 }),
        Plot.dot(laps, { x: 'length', y, fill: 'who', r: 3.5 }),
        Plot.tip(
          laps,
          Plot.pointer({
            x: 'length',
            y,
            title: (lap: Lap) => `${lap.who} at ${count(lap.length)}: ${format(lap[y])}`,
          }),
        ),
      ],
      ariaLabel:
        last === undefined
          ? 'Nothing has run yet.'
          : `${laps.length} measurements, the last ${last.who} at ${last.length}: ${format(last[y])}; all are in the table below.`,
    } satisfies Plot.PlotOptions & { ariaLabel: string };
  }

  private async copy(format: (results: RaceResults) => string): Promise<void> {
    const { device, settings, laps } = this;
    const text = format({ device, settings, laps } as RaceResults);
    try {
      await navigator.clipboard.writeText(text);
      this.status.textContent = 'Copied.';
    } catch {
      this.status.textContent = 'This browser does not let pages copy. The table can be selected.';
    }
  }
}
