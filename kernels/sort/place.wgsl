// Third pass of the counting sort: every token goes to its slot, equal keys in order of position.
//
//   keys [rows, L], as in count.wgsl   slots [rows, slices, N+1]
//   →   index: token at each slot [rows, L]; from windowsStart on, chunk (slot / C) of each token [rows, L]
//
// One workgroup per (row, slice) walks its slice 256 tokens at a time. A token's slot is its key's
// next free slot plus the number of equal keys before it among the 256, so the sort is stable and
// needs no order among atomics. The next free slots belong to this workgroup alone.

override WRITE_CHUNKS: bool = true;

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
@group(0) @binding(2) var<storage, read_write> counts: array<atomic<u32>>;
@group(0) @binding(3) var<storage, read_write> index: array<u32>;

const LANES: u32 = 256u;
const NONE: u32 = 0xffffffffu;

var<workgroup> tile: array<u32, LANES>;

fn sortKey(key: i32) -> u32 {
  return min(u32(select(key, -1 - key, key < 0)), params.N);
}

@compute @workgroup_size(256)
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

  for (var base = first; base < end; base += LANES) {
    let token = base + lane;
    var key = NONE;
    var slot = 0u;
    if (token < end) {
      key = sortKey(keys[params.keysStart + rowStart + token]);
      slot = atomicLoad(&counts[slotsStart + key]);
    }
    tile[lane] = key;
    workgroupBarrier();
    storageBarrier();
    if (token < end) {
      for (var i = 0u; i < lane; i++) {
        slot += u32(tile[i] == key);
      }
      index[rowStart + slot] = token;
      if (WRITE_CHUNKS) {
        index[params.windowsStart + rowStart + token] = slot / params.C;
      }
      atomicAdd(&counts[slotsStart + key], 1u);
    }
    workgroupBarrier();
    storageBarrier();
  }
}
