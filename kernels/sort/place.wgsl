// Third pass of the counting sort: every token goes to its slot, equal keys in order of position.
//
//   keys [rows, L], as in count.wgsl   slots [rows, slices, N+1]
//   →   index: token at each slot [rows, L]; from windowsStart on, chunk (slot / C) of each token [rows, L]
//
// One workgroup per (row, slice) walks its slice 64 tokens at a time. A token's slot is its key's
// next free slot plus the number of equal keys before it among the 64, so the sort is stable and
// needs no order among atomics. The next free slots belong to this workgroup alone. A key has a bit for
// each of the 64, which it shares with the keys that are the same modulo 1,024 where there are SHARED ones.

override WRITE_CHUNKS: bool = true;
override SHARED: bool = true; // N ≥ 1,024

struct Params {
  L: u32,
  C: u32,
  N: u32,
  slices: u32,
  sliceLength: u32,
  workgroups: u32,
  keysStart: u32,
  windowsStart: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> keys: array<i32>;
@group(0) @binding(2) var<storage, read_write> counts: array<u32>;
@group(0) @binding(3) var<storage, read_write> index: array<u32>;

const LANES: u32 = 64u;
const KEYS: u32 = 1024u;

var<workgroup> bits: array<atomic<u32>, 2u * KEYS>; // two words for each key
var<workgroup> held: array<u32, LANES>;             // the key of each token

fn sortKey(key: i32) -> u32 {
  return min(u32(select(key, -1 - key, key < 0)), params.N);
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let ordinal = group.x + group.y * groups.x;
  if (ordinal >= params.workgroups) {
    return;
  }
  let first = ordinal % params.slices * params.sliceLength;
  let end = min(first + params.sliceLength, params.L);
  let rowStart = ordinal / params.slices * params.L;
  let slotsStart = ordinal * (params.N + 1u);

  let word = lane / 32u;
  let bit = 1u << (lane % 32u);
  for (var i = lane; i < 2u * min(params.N + 1u, KEYS); i += LANES) {
    atomicStore(&bits[i], 0u);
  }
  workgroupBarrier();
  for (var base = first; base < end; base += LANES) {
    let token = base + lane;
    let inside = token < end;
    let key = sortKey(keys[params.keysStart + rowStart + min(token, end - 1u)]);
    let free = counts[slotsStart + key];
    let at = 2u * (key % KEYS);
    held[lane] = key;
    if (inside) {
      atomicOr(&bits[at + word], bit);
    }
    workgroupBarrier();
    storageBarrier(); // free has been read
    var same = vec2u(atomicLoad(&bits[at]), atomicLoad(&bits[at + 1u]));
    if (SHARED) {
      for (var w = 0u; w < 2u; w++) {
        for (var rest = same[w]; rest != 0u; rest &= rest - 1u) {
          let other = firstTrailingBit(rest);
          same[w] &= ~select(0u, 1u << other, held[32u * w + other] != key);
        }
      }
    }
    let counted = countOneBits(same);
    let all = counted.x + counted.y;
    let before = countOneBits(same[word] & (bit - 1u)) + select(0u, counted.x, word == 1u);
    if (inside) {
      index[rowStart + free + before] = token;
      if (WRITE_CHUNKS) {
        index[params.windowsStart + rowStart + token] = (free + before) / params.C;
      }
      if (before + 1u == all) {
        counts[slotsStart + key] = free + all;
      }
    }
    workgroupBarrier();
    storageBarrier();
    if (inside) {
      atomicAnd(&bits[at + word], ~bit);
    }
  }
}
