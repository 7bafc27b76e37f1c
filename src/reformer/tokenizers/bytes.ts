import { Door } from '../../door.js';
import { checkedIds, type TextStream, type Tokenizer } from './tokenizer.js';

const door = new Door('ByteTokenizer');
/** Ids that are no bytes: padding and the end. */
const FIRST_BYTE = 2;

/** Bytes of UTF-8 as tokens: id = byte + 2, as in the enwik8 model. Ids 0 and 1 stand for no text. */
export class ByteTokenizer implements Tokenizer {
  readonly vocabSize = FIRST_BYTE + 256;

  /**
   * The ids of a text, a byte each.
   *
   * @param text a string, or bytes of any kind.
   */
  encode(text: string | Uint8Array): number[] {
    if (typeof text !== 'string' && !(text instanceof Uint8Array)) {
      throw door.kind(`\`text\` must be a string or a Uint8Array, got ${typeof text}.`);
    }
    const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text;
    return Array.from(bytes, (byte) => byte + FIRST_BYTE);
  }

  /** The text of tokens; bytes that are no UTF-8 become U+FFFD. */
  decode(ids: Iterable<number>): string {
    return decoder().decode(this.bytes(ids));
  }

  /** The bytes that tokens stand for. */
  bytes(ids: Iterable<number>): Uint8Array<ArrayBuffer> {
    const bytes = checkedIds(ids, this.vocabSize, door).filter((id) => id >= FIRST_BYTE);
    return Uint8Array.from(bytes, (id) => id - FIRST_BYTE);
  }

  stream(): TextStream {
    const text = decoder();
    return {
      push: (id) => text.decode(this.bytes([id]), { stream: true }),
      end: () => text.decode(),
    };
  }
}

/** Keeps a byte order mark, which is a character like others here. */
function decoder(): TextDecoder {
  return new TextDecoder('utf-8', { ignoreBOM: true });
}
