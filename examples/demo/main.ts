/** The page: its address names the view, and the first visit of a view loads it. */
import { element } from './page/elements.js';
import { BACKENDS, type BackendChoice, VIEWS, type ViewName } from './page/messages.js';
import type { OpenView, View } from './page/view.js';

const ROOMS: Record<ViewName, () => Promise<OpenView>> = {
  see: async () => (await import('./see/view.js')).openSee,
  race: async () => (await import('./race/view.js')).openRace,
  train: async () => (await import('./train/view.js')).openTrain,
  find: async () => (await import('./find/view.js')).openFind,
};

const NAMES: Record<BackendChoice, string> = {
  auto: 'the best there is',
  webgpu: 'WebGPU',
  wasm: 'WebAssembly',
  cpu: 'JavaScript',
};

const address = new URL(location.href);
const asked = address.searchParams.get('backend') as BackendChoice;
const backend: BackendChoice = BACKENDS.includes(asked) ? asked : 'auto';
const opened = new Map<ViewName, Promise<View>>();
let current: ViewName | undefined;

addEventListener('hashchange', () => show(viewOfAddress()));
offerBackends();
show(viewOfAddress());

function viewOfAddress(): ViewName | undefined {
  const name = location.hash.slice(1) as ViewName;
  return VIEWS.includes(name) ? name : current === undefined ? 'see' : undefined;
}

function show(name: ViewName | undefined): void {
  if (name === undefined || name === current) {
    return; // a place within the view, or nothing new
  }
  if (current !== undefined) {
    void opened.get(current)?.then((view) => view.leave?.());
  }
  current = name;
  for (const view of VIEWS) {
    placeOf(view).hidden = view !== name;
    const link = document.querySelector(`nav a[href="#${view}"]`);
    link?.setAttribute('aria-current', view === name ? 'page' : 'false');
  }
  document.title = `${name[0]?.toUpperCase()}${name.slice(1)} · LSH attention`;
  if (!opened.has(name)) {
    opened.set(name, open(name));
  }
}

async function open(name: ViewName): Promise<View> {
  const place = placeOf(name);
  try {
    return (await ROOMS[name]())(place, backend);
  } catch (error) {
    opened.delete(name);
    place.append(
      element('p', { role: 'alert' }, `This view could not be loaded: ${(error as Error).message}.`),
    );
    return {};
  }
}

function placeOf(name: ViewName): HTMLElement {
  return document.getElementById(`view-${name}`) as HTMLElement;
}

/** Where to compute is a part of the address: a choice loads the page again. */
function offerBackends(): void {
  const options = BACKENDS.map((name) =>
    element('option', { value: name, selected: name === backend }, NAMES[name]),
  );
  const select = element('select', { id: 'compute-on' }, ...options);
  select.addEventListener('change', () => {
    address.searchParams.set('backend', select.value);
    address.hash = location.hash;
    location.href = address.href;
  });
  document.getElementById('backend')?.append(element('label', { for: 'compute-on' }, 'Compute on '), select);
}
