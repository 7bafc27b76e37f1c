import { Door } from '../../door.js';
import { type FolderSource, openFolder } from '../../storage/folders/openFolder.js';
import { readJson } from '../../storage/folders/readJson.js';
import { checkedIds, type TextStream, type Tokenizer } from './tokenizer.js';

const PACKAGE = '@huggingface/tokenizers';
const FILE = 'tokenizer.json';
/** What transformers writes beside it, where there is more to say. */
const CONFIG_FILE = 'tokenizer_config.json';

/** What is used of a tokenizer of the package. */
interface Parsed {
  encode(text: string): { ids: number[] };
  decode(ids: number[], options: { skip_special_tokens: boolean }): string;
  get_vocab(): Map<string, number>;
}

/**
 * Opens the tokenizer of a model, `tokenizer.json`, by the npm package `@huggingface/tokenizers` (an optional peer). Special
 * tokens are added to a text as the file says, and left out of decoded text.
 *
 * @param source as for {@link loadReformer}.
 * @throws Error where the package or the file is not there, or the file is no tokenizer.
 */
export async function loadTokenizer(source: FolderSource): Promise<Tokenizer> {
  const door = new Door('loadTokenizer');
  const folder = openFolder(source, door, { onBytes: () => {} });
  const json = await readJson(folder, FILE, door);
  if (typeof json !== 'object' || json === null) {
    throw door.failure(
      `there is no ${FILE} in ${folder.place}. With transformers, AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER) writes one; a model of bytes needs none: use ByteTokenizer.`,
    );
  }
  const config = (await readJson(folder, CONFIG_FILE, door)) ?? {};
  return new FileTokenizer(await parsed(json, config, folder.place, door));
}

async function parsed(json: object, config: object, place: string, door: Door): Promise<Parsed> {
  let loaded: typeof import('@huggingface/tokenizers');
  try {
    loaded = await import('@huggingface/tokenizers');
  } catch (cause) {
    throw door.failure(`the npm package ${PACKAGE} does not load. Run: npm install ${PACKAGE}`, { cause });
  }
  try {
    return new loaded.Tokenizer(json, config);
  } catch (cause) {
    // A TypeError is the package's own surprise at a file, and tells people nothing.
    const isSaid = cause instanceof Error && !(cause instanceof TypeError);
    const problem = isSaid ? cause.message : 'it lacks parts of one';
    throw door.failure(`${FILE} in ${place} is no tokenizer that ${PACKAGE} reads: ${problem}.`, { cause });
  }
}

class FileTokenizer implements Tokenizer {
  private readonly door = new Door('Tokenizer');
  readonly vocabSize: number;

  constructor(private readonly tokenizer: Parsed) {
    const ids = Array.from(tokenizer.get_vocab().values());
    this.vocabSize = 1 + ids.reduce((largest, id) => Math.max(largest, id), -1);
  }

  encode(text: string): number[] {
    if (typeof text !== 'string') {
      throw this.door.kind(`\`text\` must be a string, got ${typeof text}.`);
    }
    return this.tokenizer.encode(text).ids;
  }

  decode(ids: Iterable<number>): string {
    const known = checkedIds(ids, this.vocabSize, this.door);
    return known.length === 0 ? '' : this.tokenizer.decode(known, { skip_special_tokens: true });
  }

  stream(): TextStream {
    return new PieceStream((ids) => this.decode(ids));
  }
}

/**
 * The text of a token depends on those before it, as where a word begins. So each is decoded after those that were shown
 * last, and what they give without it is taken off.
 */
class PieceStream implements TextStream {
  private shown: number[] = [];
  private hidden: number[] = [];

  constructor(private readonly decode: (ids: number[]) => string) {}

  push(id: number): string {
    this.hidden.push(id);
    return this.more(({ length }, text) => text.length > length && !text.endsWith('\uFFFD'));
  }

  end(): string {
    return this.more(() => true);
  }

  private more(isCertain: (before: string, text: string) => boolean): string {
    const before = this.decode(this.shown);
    const text = this.decode([...this.shown, ...this.hidden]);
    if (!isCertain(before, text)) {
      return '';
    }
    this.shown = this.hidden;
    this.hidden = [];
    return text.slice(before.length);
  }
}
