// Third pass of the counting sort: every token goes to its slot, equal keys in order of position.
//
//   keys [rows, L]   slots [rows, slices, N+1]   →   order [rows, L]    token at each slot
//                                                    chunks [rows, L]   chunk (slot / C) of each token
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
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> keys: array<i32>;
@group(0) @binding(2) var<storage, read_write> counts: array<atomic<u32>>;
@group(0) @binding(3) var<storage, read_write> order: array<u32>;
@group(0) @binding(4) var<storage, read_write> chunks: array<u32>;

const LANES: u32 = 256u;
const NONE: u32 = 0xffffffffu;

var<workgroup> tile: array<u32, LANES>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group.x + group.y * groups.x;
  if (index >= params.workgroups) {
    return;
  }
  let first = index % params.slices * params.sliceLength;
  let end = min(first + params.sliceLength, params.L);
  let rowStart = index / params.slices * params.L;
  let slotsStart = index * (params.N + 1u);

  for (var base = first; base < end; base += LANES) {
    let token = base + lane;
    var key = NONE;
    var slot = 0u;
    if (token < end) {
      key = min(u32(keys[params.keysStart + rowStart + token]), params.N);
      slot = atomicLoad(&counts[slotsStart + key]);
    }
    tile[lane] = key;
    workgroupBarrier();
    storageBarrier();
    if (token < end) {
      for (var i = 0u; i < lane; i++) {
        slot += u32(tile[i] == key);
      }
      order[rowStart + slot] = token;
      if (WRITE_CHUNKS) {
        chunks[rowStart + token] = slot / params.C;
      }
      atomicAdd(&counts[slotsStart + key], 1u);
    }
    workgroupBarrier();
    storageBarrier();
  }
}
