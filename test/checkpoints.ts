/** Small models for the tests of checkpoints, and folders in memory. */
import type { Folder, FolderTarget } from '../src/reformer/index.js';
import { Reformer } from '../src/reformer/index.js';

/** Fields of a small language model's config.json. */
export const SMALL = {
  ...{
    vocab_size: 11,
    hidden_size: 8,
    num_attention_heads: 2,
    attention_head_size: 4,
    feed_forward_size: 12,
  },
  ...{ attn_layers: ['local', 'lsh'], is_decoder: true, num_buckets: 4, hash_seed: 1 },
  ...{ local_attn_chunk_length: 4, lsh_attn_chunk_length: 4 },
  ...{ axial_pos_shape: [4, 8], axial_pos_embds_dim: [2, 6], max_position_embeddings: 32 },
};

export const smallModel = (fields: object = {}, seed = 7) => new Reformer({ ...SMALL, ...fields }, { seed });

/** The bits of every weight. */
export async function bitsOf(model: Reformer): Promise<Record<string, number[]>> {
  const bits: Record<string, number[]> = {};
  for (const [name, weight] of model.weights) {
    bits[name] = [...new Int32Array(Float32Array.from(await weight.data()).buffer)];
  }
  return bits;
}

/** Files in memory, read and written as an object of the caller's. */
export class MemoryFolder implements Folder, FolderTarget {
  readonly files = new Map<string, Uint8Array<ArrayBuffer>>();
  /** Bytes that were asked for. */
  bytesRead = 0;

  async write(name: string, content: Blob): Promise<void> {
    this.files.set(name, new Uint8Array(await content.arrayBuffer()));
  }

  async size(name: string): Promise<number | undefined> {
    return this.files.get(name)?.length;
  }

  async read(name: string, start: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
    this.bytesRead += end - start;
    return this.files.get(name)?.slice(start, end) ?? new Uint8Array();
  }

  /** A file's text, changed. */
  edit(name: string, change: (text: string) => string): void {
    this.files.set(name, new TextEncoder().encode(change(new TextDecoder().decode(this.files.get(name)))));
  }
}
