import type { Door } from '../../door.js';
import type { OpenFolder } from './openFolder.js';

/** A JSON file's value; undefined where there is no such file. */
export async function readJson(folder: OpenFolder, name: string, door: Door): Promise<unknown> {
  const bytes = await folder.size(name);
  if (bytes === undefined) {
    return undefined;
  }
  const text = new TextDecoder().decode(await folder.read(name, 0, bytes));
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw door.failure(`${name} in ${folder.place} is not JSON. Get the file again.`, { cause });
  }
}
