// Third pass of the counting sort: every token goes to its slot, equal keys in order of position.
//
//   keys [rows, L], as in count.wgsl   slots [rows, slices, N+1]
//   →   index: token at each slot [rows, L]; from windowsStart on, chunk (slot / C) of each token [rows, L]
//
// One workgroup per (row, slice) walks its slice 64 tokens at a time. A token's slot is its key's
// next free slot plus the number of equal keys before it among the 64, so the sort is stable and
// needs no order among atomics. The next free slots belong to this workgroup alone. With MASKS, which
// takes N < 1024, a key has a bit for each of the 64; else every token looks at the others' keys.

override WRITE_CHUNKS: bool = true;
override MASKS: bool = true;

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

var<workgroup> tile: array<atomic<u32>, 2u * KEYS>; // two words of bits for each key, or a key for each token

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

  let bit = 1u << (lane % 32u);
  if (MASKS) {
    for (var i = lane; i < 2u * (params.N + 1u); i += LANES) {
      atomicStore(&tile[i], 0u);
    }
    workgroupBarrier();
  }
  for (var base = first; base < end; base += LANES) {
    let token = base + lane;
    let inside = token < end;
    let key = sortKey(keys[params.keysStart + rowStart + min(token, end - 1u)]);
    let free = counts[slotsStart + key];
    let word = 2u * key + lane / 32u;
    if (!MASKS) {
      atomicStore(&tile[lane], select(params.N + 1u, key, inside));
    } else if (inside) {
      atomicOr(&tile[word], bit);
    }
    workgroupBarrier();
    storageBarrier(); // free has been read
    var before = 0u;
    var all = 0u;
    if (MASKS) {
      let low = atomicLoad(&tile[2u * key]);
      let high = atomicLoad(&tile[2u * key + 1u]);
      before = select(countOneBits(low & (bit - 1u)), countOneBits(low) + countOneBits(high & (bit - 1u)), lane >= 32u);
      all = countOneBits(low) + countOneBits(high);
    } else {
      for (var i = 0u; i < LANES; i++) {
        let same = u32(atomicLoad(&tile[i]) == key);
        before += select(0u, same, i < lane);
        all += same;
      }
    }
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
    if (MASKS && inside) {
      atomicAnd(&tile[word], ~bit);
    }
  }
}
