import { Door } from '../../attention/validate.js';
import type { TextStream, Tokenizer } from './tokenizer.js';

/** Ids that are no bytes: padding and the end. */
const FIRST_BYTE = 2;

/** Bytes of UTF-8 as tokens: id = byte + 2, as in the enwik8 model. Ids 0 and 1 stand for no text. */
export class ByteTokenizer implements Tokenizer {
  readonly vocabSize = FIRST_BYTE + 256;

  /** @param text a string, or bytes of any kind. */
  encode(text: string | Uint8Array): number[] {
    if (typeof text !== 'string' && !(text instanceof Uint8Array)) {
      throw new TypeError(`ByteTokenizer: \`text\` must be a string or a Uint8Array, got ${typeof text}.`);
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
    const door = new Door('ByteTokenizer');
    const tokens = Array.from(ids, (id) => door.integer('id', id, 0, this.vocabSize - 1));
    return Uint8Array.from(
      tokens.filter((id) => id >= FIRST_BYTE),
      (id) => id - FIRST_BYTE,
    );
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
