/** Which files of a folder hold a model's weights, and which tensors are in them. */
import type { Door } from '../../door.js';
import type { OpenFolder } from '../../storage/folders/openFolder.js';
import { readJson } from '../../storage/folders/readJson.js';
import { type Entry, headerEnd, PREFIX_BYTES, parseHeader, type Refuse } from '../../storage/header.js';
import { WEIGHTS, WEIGHTS_INDEX } from './layout.js';

/** A file of weights, and what is where in it. */
export interface WeightsFile {
  readonly name: string;
  readonly entries: ReadonlyMap<string, Entry>;
}

/** The files of weights, and their bytes. */
export async function findWeights(folder: OpenFolder, door: Door): Promise<ReadonlyMap<string, number>> {
  const sizes = new Map<string, number>();
  for (const name of await weightsFiles(folder, door)) {
    const bytes = await folder.size(name);
    if (bytes === undefined) {
      throw door.failure(`${name}, which ${WEIGHTS_INDEX} names, is not in ${folder.place}. Add the file.`);
    }
    sizes.set(name, bytes);
  }
  return sizes;
}

/** What is where in files of weights: their headers are read, and nothing else of them. */
export async function readContents(
  folder: OpenFolder,
  sizes: ReadonlyMap<string, number>,
  door: Door,
): Promise<WeightsFile[]> {
  const files: WeightsFile[] = [];
  for (const [name, bytes] of sizes) {
    const refuse: Refuse = (problem) =>
      door.failure(`${name} in ${folder.place} is truncated or damaged: ${problem}. Get the file again.`);
    const end = headerEnd(await folder.read(name, 0, Math.min(PREFIX_BYTES, bytes)), bytes, refuse);
    const { entries } = parseHeader(await folder.read(name, PREFIX_BYTES, end), bytes, refuse);
    files.push({ name, entries });
  }
  return files;
}

async function weightsFiles(folder: OpenFolder, door: Door): Promise<string[]> {
  if ((await folder.size(WEIGHTS)) !== undefined) {
    return [WEIGHTS];
  }
  const index = await readJson(folder, WEIGHTS_INDEX, door);
  if (index !== undefined) {
    return shards(index, folder.place, door);
  }
  for (const name of ['pytorch_model.bin', 'pytorch_model.bin.index.json']) {
    if ((await folder.size(name)) !== undefined) {
      throw door.failure(
        `${folder.place} has its weights in ${name}, which only Python reads. Write ${WEIGHTS} with transformers: ReformerModelWithLMHead.from_pretrained(FOLDER).save_pretrained(FOLDER), or the class that config.json names.`,
      );
    }
  }
  throw door.failure(
    `there is no ${WEIGHTS} and no ${WEIGHTS_INDEX} in ${folder.place}. Give the folder of a model.`,
  );
}

/** The files that an index names; they stay in its folder. */
function shards(index: unknown, place: string, door: Door): string[] {
  const map = (index as { weight_map?: unknown } | null)?.weight_map;
  const names = typeof map === 'object' && map !== null ? [...new Set(Object.values(map))] : [];
  if (
    names.length === 0 ||
    names.some((name) => typeof name !== 'string' || !/^[^/\\:]+$/.test(name) || /^\.+$/.test(name))
  ) {
    throw door.failure(
      `${WEIGHTS_INDEX} in ${place} has no \`weight_map\` from tensors to files of the folder. Get the file again.`,
    );
  }
  return names.sort();
}
