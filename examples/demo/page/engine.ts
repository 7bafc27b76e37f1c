/** The page's side of a view's worker. */
import type { BackendChoice, Device, FromWorker, ToWorker, ViewName } from './messages.js';

export interface Listener<News> {
  ready?(device: Device): void;
  news?(news: News): void;
  /** The worker is of no more use; a new engine may be. */
  lost(message: string): void;
}

export class Engine<Question, Answer, News = never> {
  private readonly worker: Worker;
  private readonly asked = new Map<number, { resolve(answer: Answer): void; reject(error: Error): void }>();
  private questions = 0;

  constructor(view: ViewName, backend: BackendChoice, listener: Listener<News>) {
    this.worker = new Worker(new URL('../worker.ts', import.meta.url), { type: 'module' });
    this.worker.addEventListener('message', ({ data }: MessageEvent<FromWorker>) =>
      this.hear(data, listener),
    );
    this.worker.addEventListener('error', ({ message }) =>
      listener.lost(message || 'the worker could not be loaded'),
    );
    this.send({ kind: 'open', view, backend });
  }

  /** The promise of a question that {@link stop} came before stays open. */
  ask(question: Question): Promise<Answer> {
    const id = this.questions++;
    this.send({ kind: 'ask', id, question });
    return new Promise((resolve, reject) => this.asked.set(id, { resolve, reject }));
  }

  /** Ends the worker, whatever it is at. */
  stop(): void {
    this.worker.terminate();
    this.asked.clear();
  }

  private send(message: ToWorker): void {
    this.worker.postMessage(message);
  }

  private hear(message: FromWorker, listener: Listener<News>): void {
    if (message.kind === 'ready') {
      listener.ready?.(message.device);
    } else if (message.kind === 'news') {
      listener.news?.(message.news as News);
    } else if (message.kind === 'answer') {
      this.settle(message.id)?.resolve(message.answer as Answer);
    } else if (message.kind === 'failed' && message.id !== undefined) {
      this.settle(message.id)?.reject(new Error(message.message));
    } else {
      this.stop();
      listener.lost(message.message);
    }
  }

  private settle(id: number) {
    const waiting = this.asked.get(id);
    this.asked.delete(id);
    return waiting;
  }
}
