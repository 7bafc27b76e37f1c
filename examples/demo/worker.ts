/** The worker of a view: starts a backend of tfjs, then answers the view's questions. The page itself never waits. */
import { startBackend } from './page/backend.js';
import type { FromWorker, OpenEngine, ToWorker, ViewName } from './page/messages.js';

const ENGINES = {
  see: async () => (await import('./see/engine.js')).openSee,
  race: async () => (await import('./race/engine.js')).openRace,
  train: async () => (await import('./train/engine.js')).openTrain,
  find: async () => (await import('./find/engine.js')).openFind,
} as unknown as Record<ViewName, () => Promise<OpenEngine<unknown, unknown, unknown>>>;

/** The types of a worker's own scope exclude those of a page. */
const post = postMessage as (message: FromWorker) => void;

let answers: Promise<(question: unknown) => Promise<unknown>>;

addEventListener('message', async ({ data }: MessageEvent<ToWorker>) => {
  const id = data.kind === 'ask' ? data.id : undefined;
  try {
    if (data.kind === 'open') {
      answers = open(data.view, data.backend);
      await answers;
    } else {
      const answer = await (await answers)(data.question);
      post({ kind: 'answer', id: data.id, answer });
    }
  } catch (error) {
    post({ kind: 'failed', ...(id !== undefined && { id }), message: (error as Error).message });
  }
});

async function open(view: ViewName, backend: (ToWorker & { kind: 'open' })['backend']) {
  const [device, engine] = await Promise.all([
    startBackend(backend, {
      gradients: view === 'train',
      lost: (message) => post({ kind: 'lost', message }),
    }),
    ENGINES[view](),
  ]);
  post({ kind: 'ready', device });
  return engine(device, (news) => post({ kind: 'news', news }));
}
