/** What the page and the worker of a view say to each other. */

/** What a visitor can do here, in the order of the page's links. */
export const VIEWS = ['see', 'race', 'train', 'find'] as const;
export type ViewName = (typeof VIEWS)[number];

/** Where attention is computed; `'auto'` takes the first that there is. */
export const BACKENDS = ['auto', 'webgpu', 'wasm', 'cpu'] as const;
export type BackendChoice = (typeof BACKENDS)[number];

/** What a worker computes on. */
export interface Device {
  readonly backend: Exclude<BackendChoice, 'auto'>;
  /** For people: the GPU's name, or what takes its place. */
  readonly name: string;
  /** Why it is not what was wanted, as a sentence. */
  readonly instead?: string;
}

export type ToWorker =
  | { readonly kind: 'open'; readonly view: ViewName; readonly backend: BackendChoice }
  | { readonly kind: 'ask'; readonly id: number; readonly question: unknown };

export type FromWorker =
  | { readonly kind: 'ready'; readonly device: Device }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: unknown }
  | { readonly kind: 'failed'; readonly id?: number; readonly message: string }
  | { readonly kind: 'news'; readonly news: unknown }
  /** The GPU is gone, and all that was on it. */
  | { readonly kind: 'lost'; readonly message: string };

/** Makes what answers a view's questions; `tell` says in between how it goes. */
export type OpenEngine<Question, Answer, News = never> = (
  device: Device,
  tell: (news: News) => void,
) => (question: Question) => Promise<Answer>;
